// Package operation runs the operations of a centre. It fuses the objects of
// contributors and countries into findings, matches the issues that countries flagged,
// drafts and publishes reports, takes in the outcomes that countries report, and tells
// contributors the outcomes of their own objects.
//
// Nothing calls it when data comes: it follows the audit chain, and reads everything
// again from the store when it starts. The only data of its own are the decisions of
// persons, in a document of the store for each operation.
//
// Every figure and every object is fused from those contributions only that its
// audience may benefit from. The package decides no access and answers no request.
package operation
