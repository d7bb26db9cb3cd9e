import { cpSync, mkdirSync } from 'node:fs';

// Where Grafana's libraries look for icons and for their typeface, which its server would have.
let folder;
const served = {
  name: 'served-by-grafana',
  configResolved(config) {
    folder = config.build.outDir;
  },
  closeBundle() {
    cpSync('node_modules/@grafana/ui/dist/public/img', `${folder}/public/build/img`, { recursive: true });
    mkdirSync(`${folder}/public/fonts/inter`, { recursive: true });
    for (const [weight, name] of [[400, 'Regular'], [500, 'Medium']]) {
      const file = `node_modules/@fontsource/inter/files/inter-latin-${weight}-normal.woff2`;
      cpSync(file, `${folder}/public/fonts/inter/Inter-${name}.woff2`);
    }
  },
};

export default {
  base: './',
  plugins: [served],
  build: { target: 'esnext', chunkSizeWarningLimit: 99999, minify: false },
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  esbuild: { jsx: 'automatic' },
};
