"""What travels on the topics, and what the flow hands to connectors. Imports nothing else of Weir."""
