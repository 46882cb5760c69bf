package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const toleranceS = 300

// Verify returns an error unless body, as it was received, was signed with one of the secrets.
func Verify(secrets []string, headers http.Header, body []byte, now time.Time) error {
	id, timestamp := headers.Get("webhook-id"), headers.Get("webhook-timestamp")
	signedAt, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || id == "" {
		return errors.New("a header is missing or invalid")
	}
	if age := now.Unix() - signedAt; age > toleranceS || age < -toleranceS {
		return errors.New("the message is too old, or the clock is wrong")
	}
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			return errors.New("a secret is not base64")
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + timestamp + "."))
		mac.Write(body)
		expected := mac.Sum(nil)
		for _, text := range strings.Split(headers.Get("webhook-signature"), " ") {
			encoded, ok := strings.CutPrefix(text, "v1,")
			signature, err := base64.StdEncoding.DecodeString(encoded)
			if ok && err == nil && hmac.Equal(signature, expected) {
				return nil
			}
		}
	}
	return errors.New("no signature matches")
}
