// ?board=UID&lang=fr&theme=dark&from=…&to=…&var-NAME=VALUE draws one dashboard; without a board, a
// list of them. `window.preview` tells how each panel came out; `data-ready` is set when all have.
import { createTheme, ThemeContext } from '@grafana/data';
import { GlobalStyles, PortalContainer } from '@grafana/ui';
import { useCallback, useEffect, useMemo, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Board } from './board.jsx';

const HOUR = 3_600_000;
const UNITS = { m: 60_000, h: HOUR, d: 24 * HOUR, w: 7 * 24 * HOUR, M: 30 * 24 * HOUR, y: 365 * 24 * HOUR };

window.preview = { panels: {}, problem: '' };

function moment(text, now) {
  const ago = text.match(/^now(?:-(\d+)([mhdwMy]))?$/);
  return ago ? now - (ago[1] ? Number(ago[1]) * UNITS[ago[2]] : 0) : Number(text);
}

function asked(search, board) {
  const now = Number(search.get('now') ?? Date.now());
  const chosen = {};
  for (const key of new Set(search.keys())) {
    if (key.startsWith('var-')) {
      chosen[key.slice(4)] = search.getAll(key);
    }
  }
  return {
    chosen,
    from: moment(search.get('from') ?? board.time.from, now),
    to: moment(search.get('to') ?? board.time.to, now),
  };
}

function Page({ board, search }) {
  const theme = useMemo(() => createTheme({ colors: { mode: search.get('theme') ?? 'dark' } }), [search]);
  const request = useMemo(() => asked(search, board), [search, board]);
  const tell = useCallback(
    (told) => {
      if (told.problem) {
        window.preview.problem = told.problem;
      } else {
        window.preview.panels[told.panel] = told;
      }
      const wanted = board.panels.filter((panel) => panel.type !== 'row').length;
      if (told.problem || Object.keys(window.preview.panels).length === wanted) {
        document.body.dataset.ready = 'yes';
      }
    },
    [board],
  );
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Board board={board} request={request} tell={tell} />
      <PortalContainer />
    </ThemeContext.Provider>
  );
}

function List({ boards }) {
  return (
    <ul style={{ font: '16px sans-serif' }}>
      {boards.map(({ lang, uid, title }) => (
        <li key={lang + uid}>
          {['dark', 'light'].map((theme) => (
            <a key={theme} href={`?board=${uid}&lang=${lang}&theme=${theme}`} style={{ marginRight: 12 }}>
              {title} ({lang}, {theme})
            </a>
          ))}
        </li>
      ))}
    </ul>
  );
}

function App() {
  const search = useMemo(() => new URLSearchParams(window.location.search), []);
  const [found, setFound] = useState(null);
  const uid = search.get('board');
  useEffect(() => {
    const path = uid ? `boards/${search.get('lang') ?? 'en'}/${uid}.json` : 'boards.json';
    fetch(path)
      .then((answer) => {
        if (!answer.ok) {
          throw new Error(`${path}: ${answer.status}`);
        }
        return answer.json();
      })
      .then(setFound)
      .catch((error) => {
        window.preview.problem = String(error.message);
        document.body.dataset.ready = 'yes';
      });
  }, [search, uid]);
  if (!found) {
    return null;
  }
  return uid ? <Page board={found} search={search} /> : <List boards={found} />;
}

createRoot(document.getElementById('root')).render(<App />);
