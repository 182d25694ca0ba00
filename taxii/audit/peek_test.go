package audit

// FlushDue commits what Run would commit now.
var FlushDue = (*Recorder).flushDue
