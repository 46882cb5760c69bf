"""Imports the methods `ANY` of the HTTP contract, which the local AWS endpoint knows but does not read from OpenAPI."""

_EXTENSION = "x-amazon-apigateway-any-method"


def read_any_methods(gateway):
    """Makes the module of the REST API import the extension as the method ANY. The names are those of the pinned version."""
    import_path_item = gateway._import_path_item

    def run(api_id, path, path_item, *security):
        item = {"any" if name == _EXTENSION else name: value for name, value in path_item.items()}
        return import_path_item(api_id, path, item, *security)

    gateway._OPENAPI_HTTP_METHODS = gateway._OPENAPI_HTTP_METHODS | {"any"}
    gateway._import_path_item = run
