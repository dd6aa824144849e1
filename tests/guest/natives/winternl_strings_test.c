// ntdll's counted strings.
#include "../check.h"

typedef struct {
  USHORT Length, MaximumLength;
  WCHAR* Buffer;
} UnicodeString;
typedef struct {
  USHORT Length, MaximumLength;
  char* Buffer;
} AnsiString;

#define NTDLL(type, name, arguments) \
  type(WINAPI* name) arguments =     \
      (type(WINAPI*) arguments)(void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), #name)

int main(void) {
  NTDLL(void, RtlInitUnicodeString, (UnicodeString*, const WCHAR*));
  NTDLL(LONG, RtlInitUnicodeStringEx, (UnicodeString*, const WCHAR*));
  NTDLL(void, RtlInitAnsiString, (AnsiString*, const char*));
  NTDLL(LONG, RtlUnicodeStringToAnsiString, (AnsiString*, const UnicodeString*, BOOLEAN));
  NTDLL(LONG, RtlAnsiStringToUnicodeString, (UnicodeString*, const AnsiString*, BOOLEAN));
  NTDLL(void, RtlFreeUnicodeString, (UnicodeString*));
  NTDLL(void, RtlFreeAnsiString, (AnsiString*));
  NTDLL(LONG, RtlCompareUnicodeString, (const UnicodeString*, const UnicodeString*, BOOLEAN));
  NTDLL(BOOLEAN, RtlEqualUnicodeString, (const UnicodeString*, const UnicodeString*, BOOLEAN));
  NTDLL(WCHAR, RtlUpcaseUnicodeChar, (WCHAR));
  NTDLL(WCHAR, RtlDowncaseUnicodeChar, (WCHAR));
  UnicodeString a, b, made;
  AnsiString narrow, copy;

  RtlInitUnicodeString(&a, L"Hello");
  CHECK(a.Length == 10 && a.MaximumLength == 12 && a.Buffer[0] == 'H');
  RtlInitUnicodeString(&b, NULL);
  CHECK(b.Length == 0 && b.MaximumLength == 0 && b.Buffer == NULL);
  CHECK(RtlInitUnicodeStringEx(&b, L"hELLO") == 0);
  CHECK(b.Length == 10);
  RtlInitAnsiString(&narrow, "text");
  CHECK(narrow.Length == 4 && narrow.MaximumLength == 5);

  CHECK(RtlCompareUnicodeString(&a, &b, FALSE) < 0);
  CHECK(RtlCompareUnicodeString(&a, &b, TRUE) == 0);
  CHECK(RtlEqualUnicodeString(&a, &b, TRUE));
  CHECK(!RtlEqualUnicodeString(&a, &b, FALSE));

  CHECK(RtlUnicodeStringToAnsiString(&copy, &a, TRUE) == 0);
  CHECK(copy.Length == 5 && strcmp(copy.Buffer, "Hello") == 0);
  RtlFreeAnsiString(&copy);
  CHECK(copy.Buffer == NULL);
  CHECK(RtlAnsiStringToUnicodeString(&made, &narrow, TRUE) == 0);
  CHECK(made.Length == 8 && wcscmp(made.Buffer, L"text") == 0);
  RtlFreeUnicodeString(&made);
  CHECK(made.Buffer == NULL);

  char small[3];
  AnsiString cut = {0, sizeof small, small};
  CHECK(RtlUnicodeStringToAnsiString(&cut, &a, FALSE) == (LONG)0x80000005);
  CHECK(cut.Length == 2 && strcmp(small, "He") == 0);

  CHECK(RtlUpcaseUnicodeChar(0xE9) == 0xC9);
  CHECK(RtlUpcaseUnicodeChar('q') == 'Q');
  CHECK(RtlDowncaseUnicodeChar('Q') == 'q');
  return DONE();
}
