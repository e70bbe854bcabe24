"""The six registers, simulated: an invented population in a file, and a server that speaks X-Road."""
