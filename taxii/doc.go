// Package taxii holds TAXII 2.1 as Go values: resources, media types, filters,
// cursors and the one error that crosses package borders.
//
// It knows no HTTP server and no store.
package taxii
