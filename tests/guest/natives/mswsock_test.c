// mswsock.h, and what of winsock2.h waits: overlapped transfers told of by events, procedure calls and
// completion ports, their cancellation, and connections that are made, accepted and ended likewise.
#define _WIN32_WINNT 0x0A00
#include <winsock2.h>
#include <ws2tcpip.h>
//
#include <mstcpip.h>
#include <mswsock.h>

#include "check.h"

static int pends(int done) { return done == SOCKET_ERROR && WSAGetLastError() == WSA_IO_PENDING; }
static int fails(BOOL done, int error) { return !done && WSAGetLastError() == error; }
static int refused(int done, int error) { return done == SOCKET_ERROR && WSAGetLastError() == error; }

static LPFN_ACCEPTEX accept_ex;
static LPFN_CONNECTEX connect_ex;
static LPFN_DISCONNECTEX disconnect_ex;
static LPFN_GETACCEPTEXSOCKADDRS addresses_of;

static void* extension(SOCKET of, GUID which) {
  void* function = NULL;
  DWORD count = 0;
  CHECK(WSAIoctl(of, SIO_GET_EXTENSION_FUNCTION_POINTER, &which, sizeof which, &function, sizeof function,
                 &count, NULL, NULL) == 0 &&
        count == sizeof function && function != NULL);
  return function;
}

static SOCKET tcp(void) {
  SOCKET made = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED);
  CHECK(made != INVALID_SOCKET);
  return made;
}
static struct sockaddr_in loopback(u_short port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = port};
  address.sin_addr.S_un.S_addr = 0x0100007F;
  return address;
}
static struct sockaddr_in bind_it(SOCKET one) {
  struct sockaddr_in address = loopback(0);
  int size = sizeof address;
  CHECK(bind(one, (void*)&address, size) == 0 && getsockname(one, (void*)&address, &size) == 0);
  return address;
}

struct pair {
  SOCKET one, two;
};
static struct pair pair(void) {
  SOCKET listener = tcp();
  struct sockaddr_in here = bind_it(listener);
  CHECK(listen(listener, 1) == 0);
  struct pair made = {.one = tcp()};
  CHECK(connect(made.one, (void*)&here, sizeof here) == 0);
  CHECK((made.two = accept(listener, NULL, NULL)) != INVALID_SOCKET && closesocket(listener) == 0);
  return made;
}

/// Ended well: how much. -1 if not.
static int ends(SOCKET of, OVERLAPPED* overlapped) {
  DWORD count = 0, flags = 77;
  if (!WSAGetOverlappedResult(of, overlapped, &count, TRUE, &flags)) return -1;
  CHECK(flags == 0);
  return (int)count;
}

static void by_event(void) {
  struct pair p = pair();
  OVERLAPPED first = {.hEvent = WSACreateEvent()}, second = {.hEvent = WSACreateEvent()}, plain = {0};
  char text[8] = "", more[8] = "";
  WSABUF parts[2] = {{2, text}, {2, text + 4}}, rest = {8, more}, out[2] = {{3, "abc"}, {3, "def"}},
         none = {0, text};
  DWORD count = 0, flags = 0;
  CHECK(pends(WSARecv(p.one, parts, 2, NULL, &flags, &first, NULL)));
  CHECK(pends(WSARecv(p.one, &rest, 1, NULL, &flags, &second, NULL)));
  CHECK(!WSAGetOverlappedResult(p.one, &first, &count, FALSE, &flags) &&
        WSAGetLastError() == WSA_IO_INCOMPLETE);
  CHECK(WSAWaitForMultipleEvents(1, &first.hEvent, FALSE, 0, FALSE) == WSA_WAIT_TIMEOUT);
  CHECK(WSASend(p.two, out, 2, &count, 0, NULL, NULL) == 0 && count == 6);
  CHECK(ends(p.one, &first) == 4 && memcmp(text, "ab\0\0cd", 6) == 0);
  CHECK(ends(p.one, &second) == 2 && memcmp(more, "ef", 2) == 0);
  // What is there is there at once, and the event says so; without one, the socket does.
  CHECK(send(p.two, "xyz", 3, 0) == 3 && recv(p.one, text, 1, MSG_PEEK) == 1);
  CHECK(WSARecv(p.one, parts, 1, &count, &flags, &first, NULL) == 0 && count == 2 &&
        WSAWaitForMultipleEvents(1, &first.hEvent, FALSE, 0, FALSE) == WSA_WAIT_EVENT_0);
  CHECK(WSARecv(p.one, parts, 1, &count, &flags, &plain, NULL) == 0 && count == 1);
  CHECK(pends(WSARecv(p.one, parts, 1, NULL, &flags, &plain, NULL)));
  OVERLAPPED sent = {.hEvent = WSACreateEvent()};
  CHECK(WSASend(p.two, out, 1, NULL, 0, &sent, NULL) == 0 || WSAGetLastError() == WSA_IO_PENDING);
  CHECK(ends(p.two, &sent) == 3 && ends(p.one, &plain) == 2 && recv(p.one, text, 8, 0) == 1);
  // Who asks for nothing is told when there is something.
  CHECK(pends(WSARecv(p.one, &none, 1, NULL, &flags, &first, NULL)) && send(p.two, "i", 1, 0) == 1);
  CHECK(ends(p.one, &first) == 0 && recv(p.one, text, 8, 0) == 1);
  flags = MSG_WAITALL;
  rest.len = 4;
  CHECK(pends(WSARecv(p.one, &rest, 1, NULL, &flags, &first, NULL)));
  CHECK(send(p.two, "12", 2, 0) == 2 && send(p.two, "34", 2, 0) == 2);
  CHECK(ends(p.one, &first) == 4 && memcmp(more, "1234", 4) == 0);
  // As files.
  CHECK(!ReadFile((HANDLE)p.one, text, 8, NULL, &first) && GetLastError() == ERROR_IO_PENDING);
  CHECK(WriteFile((HANDLE)p.two, "file", 4, NULL, &sent) || GetLastError() == ERROR_IO_PENDING);
  CHECK(GetOverlappedResult((HANDLE)p.two, &sent, &count, TRUE) && count == 4);
  CHECK(GetOverlappedResult((HANDLE)p.one, &first, &count, TRUE) && count == 4 &&
        memcmp(text, "file", 4) == 0);
  // Cancelled, and the end of the other side.
  flags = 0;
  CHECK(pends(WSARecv(p.one, parts, 1, NULL, &flags, &first, NULL)) && CancelIoEx((HANDLE)p.one, &first));
  CHECK(ends(p.one, &first) == -1 && WSAGetLastError() == WSA_OPERATION_ABORTED);
  CHECK(pends(WSARecv(p.one, parts, 1, NULL, &flags, &first, NULL)) && shutdown(p.two, SD_SEND) == 0);
  CHECK(ends(p.one, &first) == 0);
  CHECK(closesocket(p.one) == 0);
  CHECK(recv(p.two, text, 8, 0) == 0 && closesocket(p.two) == 0);
  WSACloseEvent(first.hEvent), WSACloseEvent(second.hEvent), WSACloseEvent(sent.hEvent);
}

static DWORD g_error, g_bytes, g_flags, g_calls;
static void CALLBACK completed(DWORD error, DWORD bytes, OVERLAPPED* overlapped, DWORD flags) {
  g_error = error;
  g_bytes = bytes + (DWORD)(ULONG_PTR)overlapped->hEvent;
  g_flags = flags;
  ++g_calls;
}

static void by_call(void) {
  struct pair p = pair();
  OVERLAPPED at = {.hEvent = (HANDLE)1000}, from = {.hEvent = (HANDLE)2000};
  char text[8];
  WSABUF in = {8, text}, out = {5, "bytes"};
  DWORD flags = 0;
  CHECK(pends(WSARecv(p.one, &in, 1, NULL, &flags, &at, completed)) && SleepEx(0, TRUE) == 0);
  CHECK(send(p.two, "more", 4, 0) == 4 && SleepEx(INFINITE, TRUE) == WAIT_IO_COMPLETION);
  CHECK(g_error == 0 && g_bytes == 1004 && g_flags == 0 && g_calls == 1);
  CHECK(WSASend(p.two, &out, 1, NULL, 0, &from, completed) == 0 || WSAGetLastError() == WSA_IO_PENDING);
  CHECK(SleepEx(INFINITE, TRUE) == WAIT_IO_COMPLETION && g_bytes == 2005 && g_calls == 2);
  CHECK(recv(p.one, text, 8, 0) == 5 && pends(WSARecv(p.one, &in, 1, NULL, &flags, &at, completed)));
  CHECK(CancelIo((HANDLE)p.one) && SleepEx(INFINITE, TRUE) == WAIT_IO_COMPLETION);
  CHECK(g_error == WSA_OPERATION_ABORTED && g_calls == 3);
  CHECK(closesocket(p.one) == 0 && closesocket(p.two) == 0);
}

static DWORD WINAPI reads_much(void* of) {
  static char much[100000];
  DWORD sum = 0;
  for (int got; (got = recv((SOCKET)of, much, sizeof much, 0)) > 0;) sum += (DWORD)got;
  return sum;
}

static void by_port(void) {
  struct pair p = pair();
  OVERLAPPED read = {0}, written = {0}, *got = NULL;
  HANDLE port = CreateIoCompletionPort((HANDLE)p.one, NULL, 77, 0);
  char text[8];
  WSABUF in = {8, text};
  DWORD count = 0, flags = 0, sum = 0;
  ULONG_PTR key = 0;
  CHECK(port != NULL && pends(WSARecv(p.one, &in, 1, NULL, &flags, &read, NULL)));
  CHECK(!GetQueuedCompletionStatus(port, &count, &key, &got, 0) && GetLastError() == WAIT_TIMEOUT);
  CHECK(send(p.two, "port", 4, 0) == 4);
  CHECK(GetQueuedCompletionStatus(port, &count, &key, &got, INFINITE) && count == 4 && key == 77 &&
        got == &read);
  // What is complete at once is told of as well, unless that was not asked for.
  CHECK(send(p.two, "p", 1, 0) == 1 && recv(p.one, text, 1, MSG_PEEK) == 1);
  CHECK(WSARecv(p.one, &in, 1, &count, &flags, &read, NULL) == 0 && count == 1);
  CHECK(GetQueuedCompletionStatus(port, &count, &key, &got, INFINITE) && count == 1 && got == &read);
  CHECK(SetFileCompletionNotificationModes((HANDLE)p.one, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS));
  CHECK(send(p.two, "p", 1, 0) == 1 && recv(p.one, text, 1, MSG_PEEK) == 1);
  CHECK(WSARecv(p.one, &in, 1, &count, &flags, &read, NULL) == 0 && count == 1);
  CHECK(!GetQueuedCompletionStatus(port, &count, &key, &got, 0) && GetLastError() == WAIT_TIMEOUT);
  // More than the host's buffers hold.
  static char much[8000000];
  WSABUF all = {sizeof much, much};
  int done = WSASend(p.one, &all, 1, &count, 0, &written, NULL);
  CHECK(done == 0 || WSAGetLastError() == WSA_IO_PENDING);
  HANDLE thread = CreateThread(NULL, 0, reads_much, (void*)p.two, 0, NULL);
  if (done != 0) CHECK(GetQueuedCompletionStatus(port, &count, &key, &got, INFINITE) && got == &written);
  CHECK(count == sizeof much && shutdown(p.one, SD_SEND) == 0);
  CHECK(WaitForSingleObject(thread, INFINITE) == 0 && GetExitCodeThread(thread, &sum) && sum == sizeof much);
  // What was asked for goes with the socket.
  CHECK(pends(WSARecv(p.one, &in, 1, NULL, &flags, &read, NULL)) && closesocket(p.one) == 0);
  CHECK(!GetQueuedCompletionStatus(port, &count, &key, &got, INFINITE) && got == &read &&
        GetLastError() == ERROR_OPERATION_ABORTED);
  CHECK(closesocket(p.two) == 0 && CloseHandle(port) && CloseHandle(thread));
}

static void datagrams(void) {
  SOCKET one = WSASocketW(AF_INET, SOCK_DGRAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED);
  SOCKET two = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in here = bind_it(one), there = bind_it(two), from = {0};
  OVERLAPPED read = {.hEvent = WSACreateEvent()}, sent = {.hEvent = WSACreateEvent()};
  char text[8] = "";
  WSABUF in = {4, text}, out = {3, "who"};
  DWORD count = 0, flags = 0;
  int size = sizeof from;
  CHECK(pends(WSARecvFrom(one, &in, 1, NULL, &flags, (void*)&from, &size, &read, NULL)));
  CHECK(WSASendTo(two, &out, 1, &count, 0, (void*)&here, sizeof here, &sent, NULL) == 0 ||
        WSAGetLastError() == WSA_IO_PENDING);
  CHECK(ends(two, &sent) == 3 && ends(one, &read) == 3 && memcmp(text, "who", 3) == 0);
  CHECK(size == sizeof from && from.sin_family == AF_INET && from.sin_port == there.sin_port);
  // Nobody's room is too small in silence.
  CHECK(pends(WSARecvFrom(one, &in, 1, NULL, &flags, NULL, NULL, &read, NULL)));
  CHECK(sendto(two, "too long", 8, 0, (void*)&here, sizeof here) == 8);
  CHECK(ends(one, &read) == -1 && WSAGetLastError() == WSAEMSGSIZE && memcmp(text, "too ", 4) == 0);
  CHECK(sendto(two, "too long", 8, 0, (void*)&here, sizeof here) == 8);
  CHECK(refused(recv(one, text, 4, 0), WSAEMSGSIZE) && memcmp(text, "too ", 4) == 0);
  BOOL off = FALSE;
  CHECK(WSAIoctl(one, SIO_UDP_CONNRESET, &off, sizeof off, NULL, 0, &count, NULL, NULL) == 0);
  CHECK(WSACloseEvent(read.hEvent) && WSACloseEvent(sent.hEvent) && closesocket(one) == 0 &&
        closesocket(two) == 0);
}

#define ROOM (sizeof(struct sockaddr_in) + 16)

static void accepting(void) {
  SOCKET listener = tcp(), into = tcp(), other = tcp(), client = tcp(), silent = tcp();
  struct sockaddr_in here = bind_it(listener), own, *got_own, *got_peer;
  OVERLAPPED first = {.hEvent = WSACreateEvent()}, second = {.hEvent = WSACreateEvent()}, *got = NULL;
  char room[8 + 2 * ROOM], room2[8 + 2 * ROOM], text[8];
  DWORD count = 0;
  ULONG_PTR key = 0;
  int own_size = 0, peer_size = 0, size = sizeof own;
  CHECK(fails(accept_ex(listener, into, room, 0, ROOM, ROOM, &count, &first), WSAEINVAL));  // does not listen
  CHECK(listen(listener, 8) == 0);
  CHECK(fails(accept_ex(listener, listener, room, 0, ROOM, ROOM, &count, &first), WSAEINVAL));
  // A connection is enough.
  CHECK(fails(AcceptEx(listener, into, room, 0, ROOM, ROOM, &count, &first), WSA_IO_PENDING));
  CHECK(connect(client, (void*)&here, sizeof here) == 0 && ends(listener, &first) == 0);
  CHECK(setsockopt(into, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (void*)&listener, sizeof listener) == 0);
  CHECK(getpeername(into, (void*)&own, &size) == 0);
  addresses_of(room, 0, ROOM, ROOM, (void*)&got_own, &own_size, (void*)&got_peer, &peer_size);
  CHECK(own_size == sizeof own && got_own->sin_family == AF_INET && got_own->sin_port == here.sin_port);
  CHECK(peer_size == sizeof own && got_peer->sin_port == own.sin_port &&
        got_peer->sin_addr.S_un.S_addr == 0x0100007F);
  CHECK(send(client, "hello", 5, 0) == 5 && recv(into, text, 8, 0) == 5 && send(into, "back", 4, 0) == 4 &&
        recv(client, text, 8, 0) == 4);
  CHECK(closesocket(client) == 0 && recv(into, text, 8, 0) == 0 && closesocket(into) == 0);
  // One whose first bytes are wanted: who is silent keeps nobody back.
  CHECK(closesocket(listener) == 0);
  listener = tcp(), into = tcp(), client = tcp();
  here = bind_it(listener);
  CHECK(listen(listener, 8) == 0);
  HANDLE port = CreateIoCompletionPort((HANDLE)listener, NULL, 5, 0);
  CHECK(fails(accept_ex(listener, into, room, 8, ROOM, ROOM, &count, &first), WSA_IO_PENDING));
  CHECK(fails(accept_ex(listener, other, room2, 8, ROOM, ROOM, &count, &second), WSA_IO_PENDING));
  CHECK(connect(silent, (void*)&here, sizeof here) == 0 && connect(client, (void*)&here, sizeof here) == 0);
  CHECK(send(client, "first", 5, 0) == 5);
  CHECK(GetQueuedCompletionStatus(port, &count, &key, &got, INFINITE) && count == 5 && key == 5);
  CHECK(memcmp(got == &first ? room : room2, "first", 5) == 0);
  GetAcceptExSockaddrs(got == &first ? room : room2, 8, ROOM, ROOM, (void*)&got_own, &own_size,
                       (void*)&got_peer, &peer_size);
  size = sizeof own;
  CHECK(getsockname(client, (void*)&own, &size) == 0 && got_peer->sin_port == own.sin_port);
  OVERLAPPED* last = got == &first ? &second : &first;
  CHECK(send(silent, "then", 4, 0) == 4 && GetQueuedCompletionStatus(port, &count, &key, &got, INFINITE));
  CHECK(got == last && count == 4);
  // Cancelled.
  CHECK(closesocket(other) == 0 && (other = tcp()) != INVALID_SOCKET);
  CHECK(fails(accept_ex(listener, other, room2, 8, ROOM, ROOM, &count, &second), WSA_IO_PENDING));
  CHECK(CancelIoEx((HANDLE)listener, &second));
  CHECK(!GetQueuedCompletionStatus(port, &count, &key, &got, INFINITE) && got == &second &&
        GetLastError() == ERROR_OPERATION_ABORTED);
  CHECK(closesocket(listener) == 0 && closesocket(into) == 0 && closesocket(other) == 0 &&
        closesocket(client) == 0 && closesocket(silent) == 0);
  CHECK(CloseHandle(port) && WSACloseEvent(first.hEvent) && WSACloseEvent(second.hEvent));
}

static void connecting(void) {
  SOCKET listener = tcp(), client = tcp(), nobody = tcp();
  struct sockaddr_in here = bind_it(listener), silence = bind_it(nobody), peer;
  OVERLAPPED at = {.hEvent = WSACreateEvent()};
  DWORD count = 0;
  char text[8];
  int size = sizeof peer;
  CHECK(listen(listener, 8) == 0);
  CHECK(fails(connect_ex(client, (void*)&here, sizeof here, NULL, 0, NULL, &at), WSAEINVAL));  // is not bound
  bind_it(client);
  CHECK(fails(connect_ex(client, (void*)&here, sizeof here, NULL, 0, NULL, NULL), ERROR_INVALID_PARAMETER));
  CHECK(connect_ex(client, (void*)&here, sizeof here, "hello", 5, &count, &at) ||
        WSAGetLastError() == WSA_IO_PENDING);
  SOCKET server = accept(listener, NULL, NULL);
  CHECK(ends(client, &at) == 5 && recv(server, text, 8, 0) == 5);
  CHECK(setsockopt(client, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0) == 0);
  CHECK(getpeername(client, (void*)&peer, &size) == 0 && peer.sin_port == here.sin_port);
  // Ended, and used again.
  CHECK(disconnect_ex(client, &at, TF_REUSE_SOCKET, 0) || WSAGetLastError() == WSA_IO_PENDING);
  CHECK(ends(client, &at) == 0 && recv(server, text, 8, 0) == 0 && closesocket(server) == 0);
  CHECK(connect_ex(client, (void*)&here, sizeof here, NULL, 0, NULL, &at) ||
        WSAGetLastError() == WSA_IO_PENDING);
  CHECK((server = accept(listener, NULL, NULL)) != INVALID_SOCKET && ends(client, &at) == 0);
  CHECK(send(server, "again", 5, 0) == 5 && recv(client, text, 8, 0) == 5);
  CHECK(disconnect_ex(client, NULL, 0, 0) && recv(server, text, 8, 0) == 0);
  CHECK(fails(disconnect_ex(nobody, NULL, 0, 0), WSAENOTCONN));
  CHECK(closesocket(client) == 0 && closesocket(server) == 0);
  // Nobody listens there.
  CHECK((client = tcp()) != INVALID_SOCKET);
  bind_it(client);
  CHECK(connect_ex(client, (void*)&silence, sizeof silence, NULL, 0, NULL, &at) ||
        WSAGetLastError() == WSA_IO_PENDING || WSAGetLastError() == WSAECONNREFUSED);
  if (WSAGetLastError() == WSA_IO_PENDING)
    CHECK(ends(client, &at) == -1 && WSAGetLastError() == WSAECONNREFUSED);
  CHECK(refused(setsockopt(client, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0), WSAENOTCONN));
  CHECK(closesocket(client) == 0 && closesocket(nobody) == 0 && closesocket(listener) == 0 &&
        WSACloseEvent(at.hEvent));
}

static void commands(void) {
  SOCKET one = tcp();
  GUID accept_guid = WSAID_ACCEPTEX, nonsense = {1, 2, 3, {4}};
  void* function = NULL;
  DWORD count = 0;
  CHECK(refused(WSAIoctl(one, SIO_GET_EXTENSION_FUNCTION_POINTER, &nonsense, sizeof nonsense, &function,
                         sizeof function, &count, NULL, NULL),
                WSAEINVAL));
  CHECK(refused(WSAIoctl(one, SIO_GET_EXTENSION_FUNCTION_POINTER, &accept_guid, sizeof accept_guid, &function,
                         4, &count, NULL, NULL),
                WSAEFAULT));
  accept_ex = extension(one, accept_guid);
  connect_ex = extension(one, (GUID)WSAID_CONNECTEX);
  disconnect_ex = extension(one, (GUID)WSAID_DISCONNECTEX);
  addresses_of = extension(one, (GUID)WSAID_GETACCEPTEXSOCKADDRS);
  struct tcp_keepalive alive = {1, 1500, 1000};
  BOOL kept = FALSE;
  int size = sizeof kept;
  CHECK(WSAIoctl(one, SIO_KEEPALIVE_VALS, &alive, sizeof alive, NULL, 0, &count, NULL, NULL) == 0);
  CHECK(getsockopt(one, SOL_SOCKET, SO_KEEPALIVE, (void*)&kept, &size) == 0 && kept == 1);
  u_long on = 1, waiting = 77;
  CHECK(WSAIoctl(one, FIONBIO, &on, sizeof on, NULL, 0, &count, NULL, NULL) == 0);
  OVERLAPPED at = {.hEvent = WSACreateEvent()};
  SOCKET datagrams = socket(AF_INET, SOCK_DGRAM, 0);
  CHECK(WSAIoctl(datagrams, FIONREAD, NULL, 0, &waiting, sizeof waiting, &count, &at, NULL) == 0 &&
        waiting == 0 && ends(datagrams, &at) != -1);
  CHECK(closesocket(one) == 0 && closesocket(datagrams) == 0 && WSACloseEvent(at.hEvent));
}

int main(void) {
  WSADATA data;
  CHECK(WSAStartup(MAKEWORD(2, 2), &data) == 0);
  commands();
  by_event();
  by_call();
  by_port();
  datagrams();
  accepting();
  connecting();
  return DONE();
}
