SPECS = """
class Specs:
    @hookspec
    def apflow_routes(self, prefix):
        '''Routes under a prefix.'''

@hookimpl
def apflow_addhooks(host):
    host.add_hookspecs(Specs)
    manager.append(host)

manager = []
"""
ROUTES = """
@hookimpl
def apflow_routes(prefix):
    return prefix + "/hello"
"""


def test_plugins_have_plugins(install, discover):
    # Its name comes first: what is added must be known before anything is registered.
    install("a_guest", ROUTES)
    module = install("server", SPECS)
    guest, server = discover().plugins
    assert (guest.state, guest.hooks) == ("on", ("apflow_routes",))
    assert server.hooks == ("apflow_addhooks",)
    (manager,) = __import__(module).manager
    assert manager.hook.apflow_routes(prefix="/api") == ["/api/hello"]


def test_an_added_hook_is_checked_like_the_others(install, states):
    install("server", SPECS)
    install("guest", ROUTES.replace("prefix", "path"))
    install("typist", ROUTES.replace("apflow_routes", "apflow_rutes"))
    found = states()
    assert found["guest"] == ("off", "apflow_routes has no argument 'path', only prefix")
    assert found["typist"] == ("off", "there is no hook apflow_rutes; did you mean apflow_routes?")


def test_a_plugin_of_a_plugin_is_off_where_that_is_missing(install, states):
    install("guest", ROUTES)
    assert states()["guest"][0] == "off"


def test_a_plugin_of_a_plugin_can_do_without_it(install, states):
    install("guest", ROUTES.replace("@hookimpl", "@hookimpl(optionalhook=True)"))
    assert states()["guest"] == ("on", None)
