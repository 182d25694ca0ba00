package server

import (
	"net/http"

	"comity/taxii/exchange"
)

// action is what a request needs to be allowed. It has no zero value on
// purpose: a route says what it needs.
type action uint8

const (
	anyone       action = iota + 1 // no credentials
	account                        // any account
	openIt                         // any right on the collection of the path
	readIt                         // the right to read it
	addToIt                        // the right to add objects
	deleteFromIt                   // the right to delete objects
)

// verbs are the actions that concern a collection.
var verbs = map[action]exchange.Verb{
	openIt: exchange.Open, readIt: exchange.Read, addToIt: exchange.Write, deleteFromIt: exchange.Delete,
}

type route struct {
	method  string
	path    string
	action  action
	handler func(*Server, *response, *http.Request, *caller) error
	section string // of TAXII 2.1, or of our own design
}

const (
	get  = http.MethodGet
	post = http.MethodPost
	del  = http.MethodDelete

	collection = "/{root}/collections/{collection}/"
	object     = collection + "objects/{object}/"
)

// routes are those of gorilla/mux, tried in this order: what is polled comes first,
// and fixed paths come before those that begin with the name of a root.
var routes = []route{
	{get, collection + "objects/", readIt, (*Server).getObjects, "5.4"},
	{post, collection + "objects/", addToIt, (*Server).addObjects, "5.5"},
	{get, collection + "manifest/", readIt, (*Server).getManifest, "5.3"},
	{get, object, readIt, (*Server).getObject, "5.6"},
	{del, object, deleteFromIt, (*Server).deleteObject, "5.7"},
	{get, object + "versions/", readIt, (*Server).getVersions, "5.8"},
	{get, collection, openIt, (*Server).getCollection, "5.2"},
	{get, "/{root}/collections/", account, (*Server).getCollections, "5.1"},
	{get, "/{root}/status/{status}/", account, (*Server).getStatus, "4.3"},
	{get, "/{root}/x-handling/", account, (*Server).getHandling, "x-handling"},
	{get, "/taxii2/", account, (*Server).getDiscovery, "4.1"},
	{get, "/healthz/", anyone, (*Server).getHealth, "liveness"},
	{get, "/readyz/", anyone, (*Server).getReadiness, "readiness"},
	{get, "/{root}/", account, (*Server).getAPIRoot, "4.2"},
	{get, "/", anyone, (*Server).getBrowserPage, "a page for browsers"},
}
