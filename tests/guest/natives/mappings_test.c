// memoryapi.h: file mappings and their views.
#include "check.h"

static void of_memory(void) {
  HANDLE mapping =
      CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 0x20000, L"bobbin-mapping");
  HANDLE other = OpenFileMappingW(FILE_MAP_READ, FALSE, L"bobbin-mapping");
  CHECK(mapping != NULL && other != NULL);
  char* writer = MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, 0);
  const char* reader = MapViewOfFile(other, FILE_MAP_READ, 0, 0x10000, 0x1000);
  CHECK(writer != NULL && reader != NULL && writer != reader);
  writer[0x10000] = 42;
  CHECK(reader[0] == 42);
  MEMORY_BASIC_INFORMATION about;
  CHECK(VirtualQuery(writer, &about, sizeof about) && about.Type == MEM_MAPPED &&
        about.AllocationBase == writer);
  CHECK(MapViewOfFile(mapping, FILE_MAP_READ, 0, 0x1000, 0) == NULL &&
        GetLastError() == ERROR_MAPPED_ALIGNMENT);
  CHECK(UnmapViewOfFile(writer + 8) && UnmapViewOfFile(reader));
  SetLastError(0);
  CHECK(!UnmapViewOfFile(writer) && GetLastError() == ERROR_INVALID_ADDRESS);
  // At an address of the caller's choice.
  CHECK(MapViewOfFileEx(mapping, FILE_MAP_READ, 0, 0, 0, writer) == writer && UnmapViewOfFile(writer));
  CHECK(CloseHandle(mapping) && CloseHandle(other));
}

static void of_file(void) {
  WCHAR folder[MAX_PATH], path[MAX_PATH];
  CHECK(GetTempPathW(MAX_PATH, folder) && GetTempFileNameW(folder, L"map", 0, path));
  HANDLE file = CreateFileW(path, GENERIC_READ | GENERIC_WRITE | DELETE, 7, NULL, CREATE_ALWAYS,
                            FILE_FLAG_DELETE_ON_CLOSE, NULL);
  SetLastError(0);
  CHECK(CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL) == NULL &&
        GetLastError() == ERROR_FILE_INVALID);
  HANDLE mapping = CreateFileMappingA(file, NULL, PAGE_READWRITE, 0, 10, NULL);
  char* view = MapViewOfFile(mapping, FILE_MAP_WRITE, 0, 0, 0);
  char* copy = MapViewOfFile(mapping, FILE_MAP_COPY, 0, 0, 0);
  CHECK(mapping != NULL && view != NULL && copy != NULL && GetFileSize(file, NULL) == 10);
  memcpy(view, "0123456789", 10);
  copy[0] = 'x';
  char text[16] = "";
  DWORD count = 0;
  CHECK(ReadFile(file, text, 16, &count, NULL) && count == 10 && memcmp(text, "0123456789", 10) == 0);
  CHECK(copy[0] == 'x' && copy[1] == '1');
  CHECK(UnmapViewOfFile(view) && UnmapViewOfFile(copy) && CloseHandle(mapping) && CloseHandle(file));
}

int main(void) {
  of_memory();
  of_file();
  return DONE();
}
