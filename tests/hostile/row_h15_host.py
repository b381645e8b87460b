"""The report page asked for under somebody else's name."""
import http.client

import world as hostile

TITLE = "the report page as evil.example"


def run(world, hold):
    """A notifier whose aggregator and mail server are away: the page says so to whom it knows."""
    program = hostile.Program(world, "notifier", f"""
listen: {{grpc: "127.0.0.1:0", http: "127.0.0.1:0", web: "127.0.0.1:0",
         web_hosts: [reports.example.net]}}
insecure: true
state_dir: {world.folder}/notifier
aggregator: {{target: "127.0.0.1:9"}}
smtp: {{server: "127.0.0.1:9", starttls: none, insecure: true, from: "NetSentinel <a@example.net>"}}
alerts: {{to: [noc@example.net]}}
reports: [{{name: daily, sites: all, to: [boss@example.net]}}]
""")

    def status(port, path, host):
        connection = http.client.HTTPConnection("127.0.0.1", program.ports[port], timeout=20)
        connection.putrequest("GET", path, skip_host=True)
        connection.putheader("Host", host)
        connection.endheaders()
        return connection.getresponse().status

    for host in ("evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.nip.io",
                 "10.9.8.7"):
        hold(f"{host} gets nothing", status("web", "/", host) == 421)
    for host in ("localhost", "127.0.0.1", "reports.example.net"):
        hold(f"{host} gets the page", status("web", "/", host) not in (400, 421))
    hold("a probe may call it what it likes", status("http", "/healthz", "evil.example") == 200)
