"""Pictures, videos, tables and pages of results."""
