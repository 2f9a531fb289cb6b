"""Identities: identifiers of customers, and customers who are one person."""
