"""The daemon: HTTP and jobs. What becomes of a sale is the gateway's matter."""
