package server

import (
	"net/http"

	"comity/taxii/exchange"
)

// action is the right that a request needs. No constant is zero, so that a row without
// an action is not open to everybody.
type action uint8

const (
	noAccount            action = iota + 1 // no credentials
	anyAccount                             // any account
	openCollection                         // any right on the collection of the path
	readCollection                         // the right to read it
	addToCollection                        // the right to add objects
	deleteFromCollection                   // the right to delete objects
)

// verbs holds the actions on a collection, with the right that each needs.
var verbs = map[action]exchange.Verb{
	openCollection: exchange.Open, readCollection: exchange.Read, addToCollection: exchange.Write, deleteFromCollection: exchange.Delete,
}

type route struct {
	method  string
	path    string
	action  action
	handler func(*Server, *response, *http.Request, *caller) error
	section string // of TAXII 2.1, or a name for endpoints of ours
}

const (
	get  = http.MethodGet
	post = http.MethodPost
	del  = http.MethodDelete

	collection = "/{root}/collections/{collection}/"
	object     = collection + "objects/{object}/"
	streamPath = collection + "x-stream/"

	openAPIPath = "/openapi.json/"
)

// ownMediaTypes are the paths whose answers are not of the media type of TAXII, whatever
// the Accept header says.
var ownMediaTypes = []string{"/", streamPath, openAPIPath}

// routes are registered with gorilla/mux and tried in this order: the paths that are
// polled most come first, and fixed paths come before those that begin with a variable.
var routes = []route{
	{get, collection + "objects/", readCollection, (*Server).getObjects, "5.4"},
	{post, collection + "objects/", addToCollection, (*Server).addObjects, "5.5"},
	{get, collection + "manifest/", readCollection, (*Server).getManifest, "5.3"},
	{get, object, readCollection, (*Server).getObject, "5.6"},
	{del, object, deleteFromCollection, (*Server).deleteObject, "5.7"},
	{get, object + "versions/", readCollection, (*Server).getVersions, "5.8"},
	{get, streamPath, readCollection, (*Server).getStream, "x-stream"},
	{get, collection, openCollection, (*Server).getCollection, "5.2"},
	{get, "/{root}/collections/", anyAccount, (*Server).getCollections, "5.1"},
	{get, "/{root}/status/{status}/", anyAccount, (*Server).getStatus, "4.3"},
	{get, "/{root}/x-handling/", anyAccount, (*Server).getHandling, "x-handling"},
	{get, "/taxii2/", anyAccount, (*Server).getDiscovery, "4.1"},
	{get, "/healthz/", noAccount, (*Server).getHealth, "liveness"},
	{get, "/readyz/", noAccount, (*Server).getReadiness, "readiness"},
	{get, openAPIPath, noAccount, (*Server).getOpenAPI, "a description by OpenAPI 3.1"},
	{get, "/{root}/", anyAccount, (*Server).getAPIRoot, "4.2"},
	{get, "/", noAccount, (*Server).getBrowserPage, "a page for browsers"},
}
