// winsock2.h and ws2tcpip.h: two datagram sockets of the loopback talk to each other.
#define _WIN32_WINNT 0x0A00
#include <winsock2.h>
#include <ws2tcpip.h>

#include "check.h"

static SOCKET bound(struct sockaddr_in* address) {
  int size = sizeof *address;
  SOCKET made = WSASocketW(AF_INET, SOCK_DGRAM, IPPROTO_UDP, NULL, 0, WSA_FLAG_OVERLAPPED);
  *address = (struct sockaddr_in){.sin_family = AF_INET};
  address->sin_addr.S_un.S_addr = 0x0100007F;
  CHECK(made != INVALID_SOCKET && bind(made, (void*)address, size) == 0);
  CHECK(getsockname(made, (void*)address, &size) == 0 && address->sin_port != 0 && size == sizeof *address);
  return made;
}

int main(void) {
  WSADATA data;
  CHECK(WSAStartup(MAKEWORD(2, 2), &data) == 0 && data.wVersion == 0x0202);
  int tcp[] = {IPPROTO_TCP, 0};
  WSAPROTOCOL_INFOW protocols[8];
  DWORD room = 1;
  CHECK(WSAEnumProtocolsW(tcp, protocols, &room) == SOCKET_ERROR && WSAGetLastError() == WSAENOBUFS);
  room = sizeof protocols;
  int count = WSAEnumProtocolsW(tcp, protocols, &room);
  CHECK(count > 0 && protocols[0].iProtocol == IPPROTO_TCP &&
        (protocols[0].dwServiceFlags1 & XP1_IFS_HANDLES));
  struct sockaddr_in here, there, peer;
  SOCKET one = bound(&here), two = bound(&there);
  int size = sizeof peer, value = 0;
  CHECK(getpeername(one, (void*)&peer, &size) == SOCKET_ERROR && WSAGetLastError() == WSAENOTCONN);
  CHECK(connect(one, (void*)&there, sizeof there) == 0 && connect(two, (void*)&here, sizeof here) == 0);
  CHECK(getpeername(one, (void*)&peer, &size) == 0 && peer.sin_port == there.sin_port);
  char text[16] = "";
  CHECK(send(one, "hello", 5, 0) == 5 && recv(two, text, sizeof text, 0) == 5 &&
        memcmp(text, "hello", 5) == 0);
  WSABUF parts[2] = {{2, "ab"}, {3, "cde"}};
  DWORD sent = 0;
  CHECK(WSASend(one, parts, 2, &sent, 0, NULL, NULL) == 0 && sent == 5);
  CHECK(recv(two, text, sizeof text, 0) == 5 && memcmp(text, "abcde", 5) == 0);
  u_long on = 1, waiting = 1;
  CHECK(ioctlsocket(two, FIONBIO, &on) == 0);
  CHECK(recv(two, text, sizeof text, 0) == SOCKET_ERROR && WSAGetLastError() == WSAEWOULDBLOCK);
  CHECK(ioctlsocket(two, FIONREAD, &waiting) == 0 && waiting == 0);
  size = sizeof value;
  CHECK(getsockopt(one, SOL_SOCKET, SO_TYPE, (void*)&value, &size) == 0 && value == SOCK_DGRAM && size == 4);
  value = 1;
  CHECK(setsockopt(one, SOL_SOCKET, SO_BROADCAST, (void*)&value, sizeof value) == 0);
  CHECK(setsockopt(one, SOL_SOCKET, 0x7777, (void*)&value, sizeof value) == SOCKET_ERROR &&
        WSAGetLastError() == WSAENOPROTOOPT);
  if (!running_under_wine())
    CHECK(WSAIoctl(one, 0x12345678, NULL, 0, NULL, 0, &sent, NULL, NULL) == SOCKET_ERROR &&
          WSAGetLastError() == WSAEOPNOTSUPP);
  CHECK(shutdown(one, SD_SEND) == 0);
  CHECK(closesocket(one) == 0 && closesocket(two) == 0);
  CHECK(closesocket(one) == SOCKET_ERROR && WSAGetLastError() == WSAENOTSOCK);

  struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
  CHECK(getaddrinfo("127.0.0.1", "80", &hints, &found) == 0 && found != NULL);
  if (found != NULL) CHECK(((struct sockaddr_in*)found->ai_addr)->sin_port == 80 << 8);
  freeaddrinfo(found);
  CHECK(WSACleanup() == 0);
  return DONE();
}
