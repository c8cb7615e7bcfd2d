package plan

import "fmt"

// Criterion is one row of a decision: what matters, how much, and how well each
// choice does (R0.2).
type Criterion struct {
	// What is compared, with the fact it rests on.
	What string `yaml:"what" json:"what" jsonschema:"required,minLength=1"`
	// How much it matters: 1 a little, 5 most.
	Weight int `yaml:"weight" json:"weight" jsonschema:"required"`
	// How well a client of your own does, from 0 to 5.
	Build int `yaml:"build" json:"build"`
	// How well the provider's SDK does, from 0 to 5; 0 where there is none.
	SDK int `yaml:"sdk" json:"sdk"`
	// How well a bought product does, from 0 to 5.
	Buy int `yaml:"buy" json:"buy"`
}

// Totals adds up what was weighed: points times weight, for each choice.
func (d *Decision) Totals() (build, sdk, buy int) {
	if d == nil {
		return 0, 0, 0
	}
	for _, c := range d.Weighed {
		build += c.Weight * c.Build
		sdk += c.Weight * c.SDK
		buy += c.Weight * c.Buy
	}
	return build, sdk, buy
}

// Rollout is how an integration goes live, and how it is stopped.
type Rollout struct {
	// The steps in order.
	Steps []Step `yaml:"steps" json:"steps" jsonschema:"required"`
	// How all of it is stopped at once, and what happens to calls and events
	// meanwhile.
	Stop string `yaml:"stop,omitempty" json:"stop,omitempty"`
	// How a step is taken back, and what becomes of data written since.
	Back string `yaml:"back,omitempty" json:"back,omitempty"`
}

// Step is one step of a rollout.
type Step struct {
	// What is done.
	Do string `yaml:"do" json:"do" jsonschema:"required,minLength=1"`
	// What must hold before the next step.
	Until string `yaml:"until,omitempty" json:"until,omitempty"`
}

// Exit is how an integration ends.
type Exit struct {
	// What only exists at the provider, and how it is got out.
	Export string `yaml:"export,omitempty" json:"export,omitempty"`
	// What is deleted and revoked, here and there.
	Delete string `yaml:"delete,omitempty" json:"delete,omitempty"`
	// What takes its place, and what of your product has to change.
	Replace string `yaml:"replace,omitempty" json:"replace,omitempty"`
}

// Point is one thing a complete plan says: exactly one of Value, Because and Ask.
type Point struct {
	// What holds.
	Value string `yaml:"value,omitempty" json:"value,omitempty"`
	// Why it does not apply.
	Because string `yaml:"because,omitempty" json:"because,omitempty"`
	// What is not known yet.
	Ask string `yaml:"ask,omitempty" json:"ask,omitempty"`
	// Where the answer may be found, or was.
	Look string `yaml:"look,omitempty" json:"look,omitempty"`
}

func (c *checker) weighed(d *Decision) {
	for i, w := range d.Weighed {
		path := fmt.Sprintf("decision.weighed[%d].", i)
		c.between(path+"weight", w.Weight, 1, 5)
		c.between(path+"build", w.Build, 0, 5)
		c.between(path+"sdk", w.SDK, 0, 5)
		c.between(path+"buy", w.Buy, 0, 5)
	}
}

func (c *checker) between(path string, n, least, most int) {
	if (n < least || n > most) && !c.reported(path) {
		c.complain(path, RuleValue, fmt.Sprintf("%d is out of range", n), fmt.Sprintf("write %d to %d", least, most))
	}
}

func (c *checker) points() {
	for _, id := range sorted(c.plan.Points) {
		p := c.plan.Points[id]
		said := 0
		for _, s := range []string{p.Value, p.Because, p.Ask} {
			if s != "" {
				said++
			}
		}
		if said != 1 && !c.reported("points."+id) {
			c.complain("points."+id, RuleConflict, "has to say one thing", "write value, because or ask, one of them")
		}
	}
}
