"""The studio: songs are made, heard, chosen and continued in the browser, by a queue of jobs and a JSON API."""
