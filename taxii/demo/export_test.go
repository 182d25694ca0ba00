package demo

// H and Vend are what the figures of the scenario are checked with.
var (
	H    = hash
	Vend = reporters
)
