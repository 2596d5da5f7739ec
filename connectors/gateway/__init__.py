"""The gateway: HTTP and WebSocket in front of the topics. Kafka is the buffer; it owns nothing else."""
