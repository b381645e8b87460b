"""The environment names a proxy that is not there."""
TITLE = "http_proxy, https_proxy and grpc_proxy of the environment lead nowhere"


def run(world, hold):
    """As Docker sets them, in both cases."""
    nowhere = "http://127.0.0.1:9"
    environment = {name: nowhere for name in
                   ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    program = world.aggregator(environment=environment)
    hold("a client reaches the server", world.asks(program, 10, environment=environment))
