"""The studio: make, play, choose and continue songs in the browser, with a queue of jobs and a JSON API."""
