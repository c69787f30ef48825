"""The top floor: the gateway command and what runs a whole gateway on one machine."""
