// Package lease is the queue of everything durable: who works on which row,
// until when, and what came of it.
//
// The rows themselves are the queue. A store lends a row that is due to one
// owner for a term (Claim); the owner extends the term while it works (Renew)
// and hands the row back with what came of it (Complete). An owner that dies
// says nothing: its terms run out and the rows are due again within seconds.
// Rows are fenced by owner and attempt, so an owner that comes back too late
// can't overwrite what its successor wrote.
//
// What it promises is at least once. A worker whose term ran out while it
// worked may have done the same thing as its successor; only what it says
// about it is refused.
//
// Runner is the working half. It needs nothing but a Queue and a function.
package lease
