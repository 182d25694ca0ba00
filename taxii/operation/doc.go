// Package operation runs the operations of a centre: it keeps what contributors
// and countries sent fused into findings, matches the issues that countries
// flagged, drafts and publishes reports, takes what countries did about findings
// and tells contributors what became of their own.
//
// Nothing calls it when data comes: it follows the audit chain, and works out
// everything again from the store when it starts. Of its own it keeps only what
// persons decided, in a document of the store for each operation.
//
// Every figure and every object is fused from those contributions only that its
// audience may benefit from. The package decides no access and answers no
// request.
package operation
