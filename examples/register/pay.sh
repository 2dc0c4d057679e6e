#!/bin/sh
# Takes one payment from tilld with curl. (till pay does the same and more; this
# shows what goes over the socket.)
#
#     [AUTH_CODE=2800...] pay.sh ORDER AMOUNT SUBJECT        (socket: $TILLD_SOCKET)
#
# ORDER is the register's number for this payment. A real register writes it into
# its own database before it calls this, and uses the same number until it knows
# the result. Without AUTH_CODE the terminal waits for its scanner.
#
# Exit codes, as those of till: 0 taken, 10 not taken, 11 returned, 20 open or unknown (do
# not charge again), 2 wrong usage, 3 no daemon.
set -u

socket=${TILLD_SOCKET:-/run/tilld/tilld.sock}
wait=60              # how long one request waits for the end of the payment
timeout=$((wait + 15)) # always longer than wait, or the answer is thrown away
give_up=180          # after so long the cashier is told that the result is unknown
case ${LANG:-} in zh*) language=zh ;; *) language=en ;; esac

# A text as a JSON string.
string() { printf '"%s"' "$(printf %s "$1" | sed 's/[\\"]/\\&/g')"; }

# The value of a member of $answer. Programs with a JSON library should use that.
member() { printf %s "$answer" | sed -nE "s/.*\"$1\":\"?(([^\"\\,}]|\\\\.)*).*/\1/p"; }

# The same for the cashier's sentence, which may hold commas and quotes.
sentence() {
  printf %s "$answer" | sed -nE "s/.*\"$language\":\"(([^\"\\]|\\\\.)*)\".*/\1/p" | sed 's/\\\(.\)/\1/g'
}

exit_of() { case $1 in taken) exit 0 ;; none) exit 10 ;; returned) exit 11 ;; *) exit 20 ;; esac; }

[ $# -eq 3 ] || { echo "usage: [AUTH_CODE=2800...] pay.sh ORDER AMOUNT SUBJECT" >&2; exit 2; }
case $1 in '' | *[!A-Za-z0-9_]*) echo "ORDER has letters, digits and _ only" >&2; exit 2 ;; esac

body="{\"amount\":$(string "$2"),\"subject\":$(string "$3")"
[ -z "${AUTH_CODE:-}" ] || body="$body,\"auth_code\":$(string "$AUTH_CODE")"
body="$body}"

end=$(($(date +%s) + give_up))
sent=no # whether a request may have reached the daemon
last="No answer from the terminal: do not charge again, ask for this number later"
while :; do
  # The body goes by standard input: a payment code has no place in the list of
  # processes. The status comes as a last line of its own.
  reply=$(printf %s "$body" | curl --silent --show-error --max-time "$timeout" \
    --unix-socket "$socket" --request PUT --header 'Content-Type: application/json' \
    --data-binary @- --write-out '\n%{http_code}' "http://tilld/v1/payments/$1?wait=$wait")
  result=$?
  if [ $result -eq 7 ] && [ $sent = no ]; then
    # Nobody listens: this request was certainly not sent.
    echo "Cannot reach the terminal at $socket"
    exit 3
  elif [ $result -ne 0 ]; then
    sent=yes # the answer is lost, the payment is not: ask again
  else
    status=${reply##*
}
    answer=${reply%
*}
    said=$(sentence)
    last=${said:-$last}
    if [ "$status" -lt 300 ] && [ "$(member final)" = true ]; then
      echo "$last"
      exit_of "$(member money)"
    elif [ "$status" -ge 400 ] && { [ $sent = no ] || [ "$status" -lt 500 ]; }; then
      echo "$answer" >&2
      echo "$last"
      case $status:$(member money) in 400:none | 413:none | 415:none | 422:none) exit 2 ;; esac
      exit_of "$(member money)"
    fi
    sent=yes
    echo "$last" >&2
  fi
  if [ "$(date +%s)" -gt $end ]; then
    echo "$last"
    exit 20
  fi
  sleep 1 # and then the same request: it never charges twice
done
