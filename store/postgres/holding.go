package postgres

// movedOn says where each event whose loan ended holds those behind it from now
// on: where it has still to go, and where one before it has. Before is what the
// nearest before it says, was what it said itself.
const movedOn = `moved AS MATERIALIZED (
	SELECT m.*, NOT m.over AND m.holds IS NOT NULL AND NOT coalesce(m.holds <@ m.was, false) AS grew
	FROM (
		SELECT held.seq, held.order_key, held.was, before.holds AS before, NOT held.released AND held.status <> 'received' AS over,
			CASE WHEN held.outstanding <> ''
				THEN ARRAY(SELECT DISTINCT unnest(string_to_array(held.outstanding, E'\n') || before.holds) COLLATE "C" ORDER BY 1)
				ELSE held.was END AS holds
		FROM held LEFT JOIN LATERAL (SELECT b.holds FROM webhook_events b
			WHERE b.status IN ('received', 'processing') AND b.order_key IS NOT NULL AND b.holds IS NOT NULL AND b.order_key = held.order_key AND b.seq < held.seq
			ORDER BY b.seq DESC LIMIT 1) before ON true
		WHERE held.order_key IS NOT NULL) m)`

// toldHolding makes the next that holds at some destinations due if it may go on
// at one or holds where nothing before it does any more. After an event that was
// asked for again those behind it hold also where that one does.
const toldHolding = `told_holding AS (
	UPDATE webhook_events n SET holds = later.holds,
		due_at = CASE WHEN later.called AND (n.due_at IS NULL OR n.due_at > $20) THEN $20 ELSE n.due_at END
	FROM (
		SELECT l.seq, l.holds, l.first AND NOT coalesce(l.holds <@ CASE WHEN moved.over THEN moved.before ELSE moved.holds END, false) AS called, moved.grew
		FROM moved, LATERAL (
			SELECT a.seq, a.first, CASE WHEN moved.grew THEN ARRAY(SELECT DISTINCT unnest(a.holds || moved.holds) COLLATE "C" ORDER BY 1) ELSE a.holds END AS holds
			FROM (SELECT n.seq, n.holds, row_number() OVER (ORDER BY n.seq) = 1 AS first FROM webhook_events n
				WHERE n.status IN ('received', 'processing') AND n.order_key IS NOT NULL AND n.holds IS NOT NULL AND n.order_key = moved.order_key AND n.seq > moved.seq
				ORDER BY n.seq LIMIT CASE WHEN moved.grew THEN NULL ELSE 1 END) a) l
		WHERE moved.over OR moved.holds IS NOT NULL) later
	WHERE n.seq = later.seq AND n.status = 'received' AND (later.called OR later.grew))`
