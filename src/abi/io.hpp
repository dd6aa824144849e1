// Numbers and layouts of the Windows file, console and process interfaces, as guests pass them.
#pragma once

#include "abi/types.hpp"

namespace bobbin::abi {

// Access rights of a file (winnt.h).
enum : DWORD {
  FILE_READ_DATA = 0x0001,
  FILE_WRITE_DATA = 0x0002,
  FILE_APPEND_DATA = 0x0004,
  FILE_EXECUTE = 0x0020,
  FILE_READ_ATTRIBUTES = 0x0080,
  FILE_WRITE_ATTRIBUTES = 0x0100,
  DELETE_ACCESS = 0x00010000,
  MAXIMUM_ALLOWED = 0x02000000,
  GENERIC_ALL = 0x10000000,
  GENERIC_EXECUTE = 0x20000000,
  GENERIC_WRITE = 0x40000000,
  GENERIC_READ = 0x80000000,
  FILE_GENERIC_READ = 0x00120089,
  FILE_GENERIC_WRITE = 0x00120116,
  FILE_GENERIC_EXECUTE = 0x001200A0,
  FILE_ALL_ACCESS = 0x001F01FF,
};

enum : DWORD { FILE_SHARE_READ = 1, FILE_SHARE_WRITE = 2, FILE_SHARE_DELETE = 4, FILE_SHARE_ALL = 7 };

enum : DWORD { CREATE_NEW = 1, CREATE_ALWAYS, OPEN_EXISTING, OPEN_ALWAYS, TRUNCATE_EXISTING };

enum : DWORD {
  FILE_FLAG_OPEN_REPARSE_POINT = 0x00200000,
  FILE_FLAG_BACKUP_SEMANTICS = 0x02000000,
  FILE_FLAG_DELETE_ON_CLOSE = 0x04000000,
  FILE_FLAG_OVERLAPPED = 0x40000000,
  FILE_FLAG_WRITE_THROUGH = 0x80000000,
};

enum : DWORD {
  FILE_ATTRIBUTE_READONLY = 0x0001,
  FILE_ATTRIBUTE_HIDDEN = 0x0002,
  FILE_ATTRIBUTE_SYSTEM = 0x0004,
  FILE_ATTRIBUTE_DIRECTORY = 0x0010,
  FILE_ATTRIBUTE_ARCHIVE = 0x0020,
  FILE_ATTRIBUTE_DEVICE = 0x0040,
  FILE_ATTRIBUTE_NORMAL = 0x0080,
  FILE_ATTRIBUTE_TEMPORARY = 0x0100,
  FILE_ATTRIBUTE_REPARSE_POINT = 0x0400,
  INVALID_FILE_ATTRIBUTES = 0xFFFFFFFF,
};
inline constexpr DWORD IO_REPARSE_TAG_SYMLINK = 0xA000000C;
inline constexpr DWORD INVALID_FILE_SIZE = 0xFFFFFFFF;
inline constexpr DWORD INVALID_SET_FILE_POINTER = 0xFFFFFFFF;

enum : DWORD { FILE_BEGIN = 0, FILE_CURRENT = 1, FILE_END = 2 };
enum : DWORD { FILE_TYPE_UNKNOWN = 0, FILE_TYPE_DISK = 1, FILE_TYPE_CHAR = 2, FILE_TYPE_PIPE = 3 };

inline constexpr DWORD STD_INPUT_HANDLE = static_cast<DWORD>(-10);
inline constexpr DWORD STD_OUTPUT_HANDLE = static_cast<DWORD>(-11);
inline constexpr DWORD STD_ERROR_HANDLE = static_cast<DWORD>(-12);

inline constexpr DWORD MAX_PATH = 260;

struct OVERLAPPED {
  ULONG_PTR Internal;
  ULONG_PTR InternalHigh;
  DWORD Offset;
  DWORD OffsetHigh;
  HANDLE hEvent;
};

struct IO_STATUS_BLOCK {
  union {
    NTSTATUS Status;
    PVOID Pointer;
  };
  ULONG_PTR Information;
};

struct BY_HANDLE_FILE_INFORMATION {
  DWORD dwFileAttributes;
  FILETIME ftCreationTime;
  FILETIME ftLastAccessTime;
  FILETIME ftLastWriteTime;
  DWORD dwVolumeSerialNumber;
  DWORD nFileSizeHigh;
  DWORD nFileSizeLow;
  DWORD nNumberOfLinks;
  DWORD nFileIndexHigh;
  DWORD nFileIndexLow;
};

struct WIN32_FILE_ATTRIBUTE_DATA {
  DWORD dwFileAttributes;
  FILETIME ftCreationTime;
  FILETIME ftLastAccessTime;
  FILETIME ftLastWriteTime;
  DWORD nFileSizeHigh;
  DWORD nFileSizeLow;
};

template <class Char>
struct FindData {
  DWORD dwFileAttributes;
  FILETIME ftCreationTime;
  FILETIME ftLastAccessTime;
  FILETIME ftLastWriteTime;
  DWORD nFileSizeHigh;
  DWORD nFileSizeLow;
  DWORD dwReserved0;
  DWORD dwReserved1;
  Char cFileName[MAX_PATH];
  Char cAlternateFileName[14];
};
using WIN32_FIND_DATAA = FindData<CHAR>;
using WIN32_FIND_DATAW = FindData<WCHAR>;
static_assert(sizeof(WIN32_FIND_DATAA) == 320 && sizeof(WIN32_FIND_DATAW) == 592);

struct FILE_BASIC_INFORMATION {
  LONGLONG CreationTime;
  LONGLONG LastAccessTime;
  LONGLONG LastWriteTime;
  LONGLONG ChangeTime;
  ULONG FileAttributes;
};
static_assert(sizeof(FILE_BASIC_INFORMATION) == 40);

struct FILE_STANDARD_INFORMATION {
  LONGLONG AllocationSize;
  LONGLONG EndOfFile;
  ULONG NumberOfLinks;
  BOOLEAN DeletePending;
  BOOLEAN Directory;
};
static_assert(sizeof(FILE_STANDARD_INFORMATION) == 24);

/// Also the start of FILE_NAME_INFO; FileNameLength is in bytes, the name has no terminator.
struct FILE_NAME_INFORMATION {
  ULONG FileNameLength;
  WCHAR FileName[1];
};

struct FILE_ATTRIBUTE_TAG_INFORMATION {
  ULONG FileAttributes;
  ULONG ReparseTag;
};

struct FILE_ID_INFORMATION {
  ULONGLONG VolumeSerialNumber;
  BYTE FileId[16];
};

struct FILE_RENAME_INFORMATION {
  union {
    BOOLEAN ReplaceIfExists;
    DWORD Flags;
  };
  HANDLE RootDirectory;
  DWORD FileNameLength;
  WCHAR FileName[1];
};
static_assert(offsetof(FILE_RENAME_INFORMATION, FileName) == 20);

/// FILE_ALL_INFORMATION without the name that follows it.
struct FILE_ALL_INFORMATION {
  FILE_BASIC_INFORMATION BasicInformation;
  FILE_STANDARD_INFORMATION StandardInformation;
  LONGLONG IndexNumber;
  ULONG EaSize;
  ULONG AccessFlags;
  LONGLONG CurrentByteOffset;
  ULONG Mode;
  ULONG AlignmentRequirement;
  FILE_NAME_INFORMATION NameInformation;
};
static_assert(offsetof(FILE_ALL_INFORMATION, NameInformation) == 96);

// Console modes.
enum : DWORD {
  ENABLE_PROCESSED_INPUT = 0x0001,
  ENABLE_LINE_INPUT = 0x0002,
  ENABLE_ECHO_INPUT = 0x0004,
  ENABLE_PROCESSED_OUTPUT = 0x0001,
  ENABLE_WRAP_AT_EOL_OUTPUT = 0x0002,
  ENABLE_VIRTUAL_TERMINAL_PROCESSING = 0x0004,
};

struct COORD {
  SHORT X;
  SHORT Y;
};
struct SMALL_RECT {
  SHORT Left;
  SHORT Top;
  SHORT Right;
  SHORT Bottom;
};
struct CONSOLE_SCREEN_BUFFER_INFO {
  COORD dwSize;
  COORD dwCursorPosition;
  WORD wAttributes;
  SMALL_RECT srWindow;
  COORD dwMaximumWindowSize;
};
static_assert(sizeof(CONSOLE_SCREEN_BUFFER_INFO) == 22);

struct KEY_EVENT_RECORD {
  BOOL bKeyDown;
  WORD wRepeatCount;
  WORD wVirtualKeyCode;
  WORD wVirtualScanCode;
  union {
    WCHAR UnicodeChar;
    CHAR AsciiChar;
  } uChar;
  DWORD dwControlKeyState;
};
inline constexpr WORD KEY_EVENT = 1;
struct INPUT_RECORD {
  WORD EventType;
  KEY_EVENT_RECORD Event;  // the only kind we make; the union's other members are no larger
};
static_assert(sizeof(INPUT_RECORD) == 20);

template <class Char>
struct StartupInfo {
  DWORD cb;
  Char* lpReserved;
  Char* lpDesktop;
  Char* lpTitle;
  DWORD dwX, dwY, dwXSize, dwYSize, dwXCountChars, dwYCountChars, dwFillAttribute, dwFlags;
  WORD wShowWindow;
  WORD cbReserved2;
  BYTE* lpReserved2;
  HANDLE hStdInput, hStdOutput, hStdError;
};
using STARTUPINFOA = StartupInfo<CHAR>;
using STARTUPINFOW = StartupInfo<WCHAR>;
static_assert(sizeof(STARTUPINFOW) == 104);
inline constexpr DWORD STARTF_USESTDHANDLES = 0x100;
inline constexpr DWORD CREATE_SUSPENDED = 0x4;
inline constexpr DWORD CREATE_UNICODE_ENVIRONMENT = 0x400;
inline constexpr DWORD STILL_ACTIVE = 259;

struct PROCESS_INFORMATION {
  HANDLE hProcess;
  HANDLE hThread;
  DWORD dwProcessId;
  DWORD dwThreadId;
};

}  // namespace bobbin::abi
