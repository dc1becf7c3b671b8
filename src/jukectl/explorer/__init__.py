"""The sample explorer's data: what its page shows of songs, and the site around both."""
