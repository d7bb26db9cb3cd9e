// VMware's own simulator as a program: a vCenter with as many hosts and guests as asked for.
//
// Debian ships the library (golang-github-vmware-govmomi-dev) without the command. Beyond what
// the library does, power counters can be filled, answers are paged as a vCenter pages them, and
// counters of GPUs have an instance each.
package main

import (
	"crypto/tls"
	"flag"
	"log"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/vpx"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Keys of counters as the library has them.
const (
	power       = 157
	energy      = 159
	received    = 148
	gpuActivity = 559
	gpuMemory   = 563
)

type rest struct {
	objects []types.ObjectContent
	most    int32
}

var (
	guard sync.Mutex
	rests = map[string]rest{}
	pages int
)

// page is the first part of an answer; the token leads to the others.
func page(all rest) types.RetrieveResult {
	if all.most <= 0 || len(all.objects) <= int(all.most) {
		return types.RetrieveResult{Objects: all.objects}
	}
	guard.Lock()
	defer guard.Unlock()
	pages++
	token := strconv.Itoa(pages)
	rests[token] = rest{all.objects[all.most:], all.most}
	return types.RetrieveResult{Token: token, Objects: all.objects[:all.most]}
}

type collector struct {
	simulator.PropertyCollector
}

func (c *collector) RetrievePropertiesEx(ctx *simulator.Context, r *types.RetrievePropertiesEx) soap.HasFault {
	answer := c.PropertyCollector.RetrievePropertiesEx(ctx, r)
	body, ok := answer.(*methods.RetrievePropertiesExBody)
	if ok && body.Res != nil && body.Res.Returnval != nil {
		first := page(rest{body.Res.Returnval.Objects, r.Options.MaxObjects})
		body.Res.Returnval = &first
	}
	return answer
}

func (c *collector) ContinueRetrievePropertiesEx(_ *simulator.Context, r *types.ContinueRetrievePropertiesEx) soap.HasFault {
	body := new(methods.ContinueRetrievePropertiesExBody)
	guard.Lock()
	all, found := rests[r.Token]
	delete(rests, r.Token)
	guard.Unlock()
	if !found {
		body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "token"})
		return body
	}
	body.Res = &types.ContinueRetrievePropertiesExResponse{Returnval: page(all)}
	return body
}

type performance struct {
	simulator.PerformanceManager
}

// QueryPerf gives each of two GPUs its series where all instances are asked for.
func (p *performance) QueryPerf(ctx *simulator.Context, r *types.QueryPerf) soap.HasFault {
	answer := p.PerformanceManager.QueryPerf(ctx, r)
	body, ok := answer.(*methods.QueryPerfBody)
	if !ok || body.Res == nil {
		return answer
	}
	for _, each := range body.Res.Returnval {
		entity := each.(*types.PerfEntityMetric)
		var series []types.BasePerfMetricSeries
		for _, one := range entity.Value {
			whole := one.(*types.PerfMetricIntSeries)
			if whole.Id.Instance != "*" {
				series = append(series, whole)
				continue
			}
			for _, instance := range []string{"0", "1"} {
				copied := *whole
				copied.Id.Instance = instance
				series = append(series, &copied)
			}
		}
		entity.Value = series
	}
	return answer
}

// hold gives guests of one host a GPU, a network card and a part of a GPU.
func hold() {
	var guests []*simulator.VirtualMachine
	for _, each := range simulator.Map.All("VirtualMachine") {
		guests = append(guests, each.(*simulator.VirtualMachine))
	}
	host := simulator.Map.Any("HostSystem").(*simulator.HostSystem)
	host.Config.GraphicsInfo = []types.HostGraphicsInfo{{
		DeviceName:     "NVIDIA A100",
		VendorName:     "NVIDIA Corporation",
		PciId:          "0000:3b:00.0",
		GraphicsType:   "sharedDirect",
		MemorySizeInKB: 40 << 20,
		Vm:             []types.ManagedObjectReference{guests[0].Self},
	}}
	host.Hardware.PciDevice = []types.HostPciDevice{
		{Id: "0000:86:00.0", ClassId: 0x0302, DeviceName: "NVIDIA L40S"},
		{Id: "0000:87:00.0", ClassId: 0x0200, DeviceName: "a network card"},
	}
	part := &types.VirtualPCIPassthroughVmiopBackingInfo{Vgpu: "grid_a100-10c"}
	give(guests[0], part)
	for _, id := range []string{"0000:86:00.0", "0000:87:00.0"} {
		give(guests[1], &types.VirtualPCIPassthroughDeviceBackingInfo{Id: id, SystemId: "s"})
	}
}

func give(guest *simulator.VirtualMachine, backing types.BaseVirtualDeviceBackingInfo) {
	device := &types.VirtualPCIPassthrough{VirtualDevice: types.VirtualDevice{Key: 13000, Backing: backing}}
	guest.Config.Hardware.Device = append(guest.Config.Hardware.Device, device)
	guest.Summary.Config.MemoryReservation = guest.Summary.Config.MemorySizeMB
}

func main() {
	model := simulator.VPX()
	listen := flag.String("listen", "127.0.0.1:0", "address")
	certificate := flag.String("cert", "", "PEM file")
	key := flag.String("key", "", "PEM file")
	user := flag.String("user", "jauge", "the only user")
	password := flag.String("password", "pass", "its password")
	filled := flag.Bool("power", false, "fill the counters of power, energy and GPUs")
	disconnected := flag.Bool("disconnected", false, "the last host is not connected")
	gpus := flag.Bool("gpus", false, "the first two guests hold GPUs of the only host")
	zeros := flag.Bool("zeros", false, "some samples of guests' power are zero")
	flag.BoolVar(&simulator.Trace, "trace", false, "write what is asked and answered")
	flag.IntVar(&model.Cluster, "clusters", 1, "clusters")
	flag.IntVar(&model.ClusterHost, "hosts", 3, "hosts of a cluster")
	flag.IntVar(&model.Machine, "guests", 4, "guests of a cluster")
	flag.Parse()
	model.Host = 0

	if *filled {
		vpx.HostMetricData[power] = []int64{410, 420, 430, 440}
		vpx.HostMetricData[energy] = []int64{8200, 8400, 8600, 8800}
		vpx.VmMetricData[power] = []int64{31, 32, 33, 34}
		vpx.VmMetricData[energy] = []int64{620, 640, 660, 680}
		vpx.HostMetricData[gpuActivity] = []int64{4000, 5000}
		vpx.HostMetricData[gpuMemory] = []int64{1 << 20}
	}
	if *zeros {
		vpx.VmMetricData[power] = []int64{3, 0, 4, 0, 0}
		vpx.HostMetricData[received] = []int64{0}
	}
	if err := model.Create(); err != nil {
		log.Fatal(err)
	}
	defer model.Remove()

	content := model.ServiceContent
	simulator.Map.Put(&collector{*simulator.Map.Get(content.PropertyCollector).(*simulator.PropertyCollector)})
	simulator.Map.Put(&performance{*simulator.Map.Get(*content.PerfManager).(*simulator.PerformanceManager)})

	if *disconnected {
		var last *simulator.HostSystem
		for _, each := range simulator.Map.All("HostSystem") {
			last = each.(*simulator.HostSystem)
		}
		last.Runtime.ConnectionState = types.HostSystemConnectionStateDisconnected
	}

	if *gpus {
		hold()
	}

	service := model.Service
	service.Listen = &url.URL{Host: *listen, User: url.UserPassword(*user, *password)}
	if *certificate != "" {
		pair, err := tls.LoadX509KeyPair(*certificate, *key)
		if err != nil {
			log.Fatal(err)
		}
		service.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	server := service.NewServer()
	log.Printf("serves at %s", server.URL.Host)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	<-ended
}
