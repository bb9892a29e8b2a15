"""One router of several processes: workers on one port, one receiver of reports, one supervisor."""
