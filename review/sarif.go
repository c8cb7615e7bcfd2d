package review

import (
	"net/url"
	"path/filepath"
	"strings"
)

// The parts of SARIF 2.1.0 (OASIS, sections 3.13 to 3.49) that code hosts read.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		About sarifText   `json:"shortDescription"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID            string             `json:"id"`
		Short         sarifText          `json:"shortDescription"`
		Full          sarifText          `json:"fullDescription"`
		Help          sarifHelp          `json:"help"`
		Configuration sarifConfiguration `json:"defaultConfiguration"`
	}
	sarifConfiguration struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifHelp struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Kind         string             `json:"kind"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations,omitempty"`
		Fingerprints map[string]string  `json:"partialFingerprints,omitempty"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifSuppression struct { // 3.35
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
	}
)

// sarifKinds are SARIF's words for our outcomes (3.27.9). A result that is no
// failure has level none (3.27.10).
var sarifKinds = map[Outcome]string{Pass: "pass", Fail: "fail", NotApplicable: "notApplicable", Unknown: "open"}

func (r *Result) sarif() sarifLog {
	run := sarifRun{Tool: sarifTool{Driver: sarifDriver{Name: "sallyport review", About: sarifText{"Checks integration plans against rules."}}}, Results: []sarifResult{}}
	index := map[string]int{}
	for i, rule := range AllRules() {
		index[rule.ID] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: rule.ID, Short: sarifText{rule.Title}, Full: sarifText{rule.Why}, Help: sarifHelp{rule.Fix, rule.help()},
			Configuration: sarifConfiguration{Level: string(rule.Severity)},
		})
	}
	for _, f := range r.order() {
		one := sarifResult{RuleID: f.Rule, RuleIndex: index[f.Rule], Kind: sarifKinds[f.Outcome], Level: "none", Message: sarifText{f.Message}}
		if f.Outcome == Fail {
			one.Level = string(f.Severity)
			if f.Fingerprint != "" {
				one.Fingerprints = map[string]string{"sallyport/v1": f.Fingerprint}
			}
		}
		if s := f.Suppressed; s != nil {
			one.Suppressions = []sarifSuppression{{Kind: s.Kind, Status: "accepted", Justification: s.Reason}}
		}
		if f.File != "" {
			at := sarifPhysical{Artifact: sarifArtifact{URI: uri(f.File)}}
			if f.Line > 0 {
				at.Region = &sarifRegion{StartLine: f.Line, StartColumn: f.Column}
			}
			one.Locations = []sarifLocation{{at}}
		}
		run.Results = append(run.Results, one)
	}
	return sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}

// uri is a file as an artifact location has it (3.4.3): relative as it was
// given, absolute with its scheme, with everything escaped that needs it.
func uri(file string) string {
	u := url.URL{Path: filepath.ToSlash(file)}
	if filepath.IsAbs(file) {
		u.Scheme = "file"
		u.Path = "/" + strings.TrimPrefix(u.Path, "/")
	}
	return u.String()
}

// help is the way out of a rule, with its examples.
func (r Rule) help() string {
	text := r.Fix + "\n"
	if r.Example.Good != "" {
		text += "\nKeeps the rule:\n\n```" + r.Example.language() + "\n" + r.Example.Good + "```\n"
	}
	if r.Example.Bad != "" {
		text += "\nBreaks it:\n\n```" + r.Example.language() + "\n" + r.Example.Bad + "```\n"
	}
	// The name in the example of R0.8 would make a mark of the page itself.
	text = strings.ReplaceAll(text, moved("na nv"), "THE NAME OF A TOOL")
	return text + "\nSource: " + r.Source + ".\n"
}
