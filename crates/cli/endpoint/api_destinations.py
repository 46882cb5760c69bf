"""Delivers to API destinations as EventBridge does. A failed attempt is repeated as often and as long as the retry policy of the
target allows, and what fails for good is sent to its dead-letter queue. The endpoint itself makes one attempt."""

import copy
import json
import sys
import threading
import time

# Statuses that EventBridge repeats: "API destinations", EventBridge user guide.
_REPEATED = (401, 407, 409, 429)
# The policy of a target without one.
_MAX_ATTEMPTS, _MAX_AGE_S = 185, 86400
# The delay before the second attempt doubles with each further one. It is shorter than on AWS.
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.5, 10


def is_repeated(status):
    """Whether EventBridge repeats an attempt with this status. None means that there was no response."""
    return status is None or status in _REPEATED or status >= 500


def dead_letter_attributes(rule_arn, target, status, retries, condition):
    """Returns the attributes of a message of the dead-letter queue, without those that have no value."""
    attributes = {
        "RULE_ARN": rule_arn,
        "TARGET_ARN": target["Arn"],
        "ERROR_CODE": "CONNECTION_FAILURE" if status is None else "ERROR_FROM_TARGET",
        "ERROR_MESSAGE": "no response" if status is None else f"the endpoint responded with {status}",
        "EXHAUSTED_RETRY_CONDITION": condition,
        "RETRY_ATTEMPTS": str(retries),
    }
    return {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value}


class ApiDestinations:
    """Replaces the delivery of the endpoint. `events` is its module for EventBridge; `send` sends a message with attributes to
    the queue with an ARN."""

    def __init__(self, events, send, sleep=time.sleep, now=time.monotonic):
        self._events, self._send, self._sleep, self._now = events, send, sleep, now
        self._current = threading.local()

    def invoked(self, invoke):
        """Returns the invocation of a target that keeps the rule and the event for the delivery."""

        def invoke_target(target, event, rule, view=None):
            view = view or self._events._pattern_event_view(event)
            self._current.invocation = (rule.get("Arn", ""), view)
            try:
                return invoke(target, event, rule, view)
            finally:
                self._current.invocation = None

        return invoke_target

    def dispatched(self, dispatch):
        """Returns the delivery to an API destination that replaces `dispatch`, which still gets what is not configured right."""

        def dispatch_to_api_destination(spec, payload, target):
            events, name = self._events, spec.resource.split("/", 2)[1]
            destination = events._api_destinations.get(name)
            connection_name = ((destination or {}).get("ConnectionArn") or "").rsplit("/", 1)[-1]
            connection = events._connections.get(connection_name)
            invocation = getattr(self._current, "invocation", None)
            if invocation is None or connection is None or destination.get("ApiDestinationState") != "ACTIVE":
                dispatch(spec, payload, target)
                return
            request = events._build_api_destination_request(destination, connection, target.get("HttpParameters") or {}, payload)
            rule_arn, view = invocation
            event = json.dumps(view.event_with_detail())
            key = (events.get_account_id(), events.get_region(), connection_name)
            arguments = (request, (copy.deepcopy(connection), key), copy.deepcopy(target), rule_arn, event)
            threading.Thread(target=self._deliver, args=arguments, daemon=True).start()

        return dispatch_to_api_destination

    def _attempt(self, request, connection):
        """Returns the status of the response, or None if there is none."""
        try:
            headers = self._events._connection_auth_headers(*connection)
            return self._events._api_destination_send_sync(request, headers)
        except Exception as error:  # noqa: BLE001 - whatever the client raises, there is no response
            print(f"API destination {request['url']}: {error}", file=sys.stderr)
            return None

    def _deliver(self, request, connection, target, rule_arn, event):
        policy = target.get("RetryPolicy") or {}
        max_retries = policy.get("MaximumRetryAttempts", _MAX_ATTEMPTS)
        end = self._now() + policy.get("MaximumEventAgeInSeconds", _MAX_AGE_S)
        retries, delay_s = 0, _FIRST_DELAY_S
        while True:
            status = self._attempt(request, connection)
            if status is not None and 200 <= status < 300:
                return
            if not is_repeated(status):
                condition = None
            elif retries >= max_retries:
                condition = "MaximumRetryAttempts"
            elif self._now() + delay_s > end:
                condition = "MaximumEventAgeInSeconds"
            else:
                self._sleep(delay_s)
                retries, delay_s = retries + 1, min(2 * delay_s, _LONGEST_DELAY_S)
                continue
            break
        queue = (target.get("DeadLetterConfig") or {}).get("Arn")
        if queue:
            self._send(queue, event, dead_letter_attributes(rule_arn, target, status, retries, condition))
        else:
            print(f"API destination {request['url']}: an event is lost, as its target has no dead-letter queue", file=sys.stderr)
