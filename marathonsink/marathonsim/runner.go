package marathonsim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A Task is one run of an instance, as its Program or process sees it.
type Task struct {
	ID        marathon.TaskID
	Instance  marathon.InstanceID
	App       marathon.AppID
	Host      string
	Ports     []int
	PortNames []string // beside Ports; "" where the definition names none
	Volumes   []Volume
	State     string // TASK_RUNNING …
	Version   string // of the app's definition
	Healthy   bool
	Suspended bool // stopped, and holds its volumes

	Cmd, User  string
	Args       []string
	Env        map[string]string // as the app sets it, without what Mesos and Marathon add
	Labels     map[string]string
	Instances  int // of the app's definition
	CPUs, Mem  float64
	Disk, GPUs float64
}

// A Volume is a persistent volume of an instance.
type Volume struct {
	ContainerPath string
	PersistenceID string // app#path#uuid; the same as long as the data lives
	UUID          string
	Size          float64 // MiB
}

// A Program is what a simulated task does instead of running its command.
type Program interface {
	// Run lasts as long as the task. It returns when ctx ends (the task was killed) or when the program ends by
	// itself: nil is exit code 0, an error is a failure with the error as the task's last words.
	Run(ctx context.Context) error
	// ServeHTTP answers on the task's ports while Run runs; r.Host tells which. Health checks come here too.
	http.Handler
}

// A Commander is a Program that answers COMMAND health checks; others always pass them.
type Commander interface{ Command(cmd string) error }

// A Runner runs tasks.
type Runner interface {
	// Start begins a task and returns at once. ended is called once, later, from any goroutine, when it is over.
	Start(t Task, ended func(Exit)) (Process, error)
	// Destroy deletes a volume's data.
	Destroy(host string, v Volume)
}

// A Process is a task that runs.
type Process interface {
	// Kill asks it to end, and after grace makes it. It does not wait.
	Kill(grace time.Duration)
	// Do sends a request to one of its ports.
	Do(r *http.Request) (*http.Response, error)
	// Connect says whether the port takes connections.
	Connect(ctx context.Context, port int) error
	// Exec runs a command beside the task, in its environment.
	Exec(ctx context.Context, cmd string) error
}

// An Exit is how a task ended.
type Exit struct {
	Code      int
	Signalled bool
	Message   string
}

func (s *Sim) describe(in *instance) Task {
	spec := &in.def.spec
	t := Task{
		ID: s.taskID(in), Instance: marathon.InstanceID(in.id), App: in.app.id, Ports: in.ports,
		Volumes: in.volumes, State: taskState(in), Version: in.def.version, Healthy: in.healthy,
		Suspended: in.suspended(), Cmd: spec.Cmd, User: spec.User, Args: spec.Args, Labels: spec.Labels,
		Instances: spec.Instances, CPUs: spec.CPUs, Mem: spec.Mem, Disk: spec.Disk, GPUs: spec.GPUs,
		Env: map[string]string{},
	}
	if in.agent != nil {
		t.Host = in.agent.Hostname
	}
	for k, v := range spec.Env {
		t.Env[k] = text(v)
	}
	defs := spec.Ports
	if !spec.hostNetwork() {
		defs = spec.Container.Mappings
	}
	for i := range t.Ports {
		name := ""
		if i < len(defs) {
			name = defs[i].Name
		}
		t.PortNames = append(t.PortNames, name)
	}
	return t
}

// simulated runs Programs.
type simulated struct{ sim *Sim }

type simProcess struct {
	sim     *Sim
	program Program
	cancel  context.CancelFunc
	ended   func(Exit)
	up      time.Time // when it begins to answer
	ctx     context.Context
}

// Start is called with the Sim locked.
func (r *simulated) Start(t Task, ended func(Exit)) (Process, error) {
	p := &simProcess{sim: r.sim, ended: ended}
	if r.sim.opt.Programs != nil {
		p.program = r.sim.opt.Programs(t)
	}
	if p.program == nil {
		p.program = plain{}
		p.up = time.Now().Add(r.sim.opt.StartDelay)
	}
	p.ctx, p.cancel = context.WithCancel(r.sim.ctx)
	r.sim.wg.Go(func() {
		err := p.program.Run(p.ctx)
		if p.ctx.Err() != nil {
			return // killed: Kill reports the end
		}
		if err != nil {
			ended(Exit{Code: 1, Message: err.Error()})
			return
		}
		ended(Exit{Message: "Command exited with status 0"})
	})
	return p, nil
}

// Destroy has nothing to delete: what a Program keeps for a volume it keeps under its PersistenceID.
func (r *simulated) Destroy(string, Volume) {}

// Kill is called with the Sim locked.
func (p *simProcess) Kill(time.Duration) {
	if p.ctx.Err() != nil {
		return
	}
	p.cancel()
	if p.sim.isClosed {
		return
	}
	p.sim.after(p.sim.opt.KillDelay+p.sim.jitter(), func() {
		// ended locks the Sim, which runs this.
		p.sim.wg.Go(func() {
			p.ended(Exit{Code: 143, Signalled: true, Message: "Command terminated with signal Terminated"})
		})
	})
}

var errRefused = errors.New("connection refused")

func (p *simProcess) Connect(context.Context, int) error {
	if p.ctx.Err() != nil || time.Now().Before(p.up) {
		return errRefused
	}
	return nil
}

func (p *simProcess) Do(r *http.Request) (*http.Response, error) {
	if err := p.Connect(r.Context(), 0); err != nil {
		return nil, fmt.Errorf("dial tcp %s: %w", r.URL.Host, err)
	}
	return p.sim.roundTrip(p.program, r, p.ctx)
}

func (p *simProcess) Exec(ctx context.Context, cmd string) error {
	if err := p.Connect(ctx, 0); err != nil {
		return err
	}
	if c, ok := p.program.(Commander); ok {
		return c.Command(cmd)
	}
	return nil
}

// plain is the Program of a task that has none: up and content.
type plain struct{}

func (plain) Run(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func (plain) ServeHTTP(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }
