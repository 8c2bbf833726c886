# Finds and ends what one command started.
