"""Dashboards and detection rules for Kibana: tables of panels, what Kibana and Elasticsearch make of them, loading."""
