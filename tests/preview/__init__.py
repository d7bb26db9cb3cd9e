"""Pictures of the dashboards, drawn by Grafana's panel components on data of the demo site."""
