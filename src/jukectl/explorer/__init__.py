"""The sample explorer: a website of songs, from the folders to the files of the site."""
