"""Tests of the delivery to API destinations. `cargo test -p roadcast-cli endpoint` runs them."""

import json
import threading
import types
import unittest

from api_destinations import ApiDestinations

TARGET = {
    "Arn": "arn:aws:events:eu-central-1:000000000000:api-destination/tool",
    "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 60},
    "DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-central-1:000000000000:dead"},
}


class View:
    def event_with_detail(self):
        return {"detail": {"a": 1}}


class Delivery:
    """A delivery whose attempts have these results: a status, or an error."""

    def __init__(self, results, target=TARGET):
        self.results, self.attempts, self.slept, self.sent, self.left = list(results), [], [], [], []
        self.time_s = 0
        events = types.SimpleNamespace(
            _api_destinations={"tool": {"ApiDestinationState": "ACTIVE", "ConnectionArn": "arn:connection/c"}},
            _connections={"c": {"AuthorizationType": "API_KEY"}},
            _build_api_destination_request=lambda destination, connection, parameters, payload: {"url": "u", "body": payload},
            _connection_auth_headers=lambda connection, key: {"authorization": "k"},
            _api_destination_send_sync=self._attempt,
            get_account_id=lambda: "000000000000",
            get_region=lambda: "eu-central-1",
        )
        destinations = ApiDestinations(events, lambda *sent: self.sent.append(sent), self._sleep, lambda: self.time_s)
        dispatch = destinations.dispatched(lambda spec, payload, target: self.left.append(payload))
        spec = types.SimpleNamespace(resource="api-destination/tool")
        running = set(threading.enumerate())
        destinations.invoked(lambda target, event, rule, view: dispatch(spec, "payload", target))(
            target, {}, {"Arn": "arn:rule"}, View())
        for thread in set(threading.enumerate()) - running:
            thread.join()

    def _attempt(self, request, headers):
        self.attempts.append((request["body"], headers["authorization"]))
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    def _sleep(self, seconds):
        self.slept.append(seconds)
        self.time_s += seconds

    def letter(self):
        """Returns the queue, the body and the attributes of the only dead letter."""
        (queue, body, attributes), = self.sent
        return queue, json.loads(body), {name: value["StringValue"] for name, value in attributes.items()}


class ApiDestinationDelivery(unittest.TestCase):
    def test_attempt_is_repeated_until_it_succeeds(self):
        delivery = Delivery([503, ConnectionError("refused"), 429, 204])
        self.assertEqual(delivery.attempts, [("payload", "k")] * 4)
        self.assertEqual((delivery.slept, delivery.sent), ([0.5, 1, 2], []))

    def test_what_fails_for_good_is_a_dead_letter(self):
        queue, body, attributes = Delivery([503, 503, 503, 500]).letter()
        self.assertEqual((queue, body), (TARGET["DeadLetterConfig"]["Arn"], {"detail": {"a": 1}}))
        self.assertEqual(attributes, {
            "RULE_ARN": "arn:rule", "TARGET_ARN": TARGET["Arn"], "ERROR_CODE": "ERROR_FROM_TARGET",
            "ERROR_MESSAGE": "the endpoint responded with 500", "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
            "RETRY_ATTEMPTS": "3"})

    def test_refusal_is_not_repeated(self):
        delivery = Delivery([400])
        _, _, attributes = delivery.letter()
        self.assertEqual((delivery.slept, attributes["RETRY_ATTEMPTS"]), ([], "0"))
        self.assertNotIn("EXHAUSTED_RETRY_CONDITION", attributes)

    def test_old_event_is_not_repeated(self):
        policy = {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 3}
        delivery = Delivery([ConnectionError("refused")] * 9, {**TARGET, "RetryPolicy": policy})
        _, _, attributes = delivery.letter()
        self.assertEqual(delivery.slept, [0.5, 1])
        self.assertEqual((attributes["EXHAUSTED_RETRY_CONDITION"], attributes["ERROR_CODE"]),
                         ("MaximumEventAgeInSeconds", "CONNECTION_FAILURE"))

    def test_target_without_a_queue_has_no_letter(self):
        self.assertEqual(Delivery([400], {"Arn": TARGET["Arn"]}).sent, [])


if __name__ == "__main__":
    unittest.main()
