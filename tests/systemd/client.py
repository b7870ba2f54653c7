"""A bare client of a Unix socket, for a container that has nothing but Python's standard library."""
import http.client
import json
import socket


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


def ask(path, method, route, body=None):
    """Status and parsed body (or text)."""
    connection = Connection(path)
    connection.request(method, route, None if body is None else json.dumps(body), {"content-type": "application/json"})
    answer = connection.getresponse()
    text = answer.read().decode()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text


def chat(path, question, **options):
    body = {"model": "pilot", "messages": [{"role": "user", "content": question}], "temperature": 0, **options}
    status, answer = ask(path, "POST", "/v1/chat/completions", body)
    return answer["choices"][0]["message"]["content"] if status == 200 else f"{status}: {answer}"


if __name__ == "__main__":
    import sys
    print(json.dumps(ask(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4]) if len(sys.argv) > 4 else None)))
