package deliver

import (
	"testing"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/integration"
)

// R5.14: the delivery of an event that never came as a webhook says so; that of
// any other does not.
func TestOriginOfADelivery(t *testing.T) {
	t.Parallel()
	e := integration.Event{ID: "1", Service: "stripe", Type: "invoice.paid"}
	if body := cloudEvent(e, []byte(`{}`)); gjson.GetBytes(body, "sallyportorigin").Exists() {
		t.Errorf("a webhook is marked: %s", body)
	}
	e.MarkReconciled()
	if body := cloudEvent(e, []byte(`{}`)); gjson.GetBytes(body, "sallyportorigin").String() != "reconciled" || !gjson.ValidBytes(body) {
		t.Errorf("it is not marked: %s", body)
	}
}
