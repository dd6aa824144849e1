// A program that maps a DLL by itself and gives it thread-local storage by the service of Windows' loader,
// NtSetInformationProcess(ProcessTlsInformation). No case of the specification; its section 3.4 describes it.
//
// The index comes from a DLL that is loaded for nothing else. Then each thread gets a block of the mapped
// DLL, first at that index of its vector (ReplaceIndex), then with a vector of the program's own
// (ReplaceVector) that is as short as can be; and then many DLLs are loaded the ordinary way, for which it is
// too short.
#include "tls_directory.h"

enum { kWorkers = 3, kThreads = kWorkers + 1, kCopies = 30, kVector = 0x58 };
enum { ProcessTlsInformation = 35, ReplaceIndex = 0, ReplaceVector = 1, kTaken = 2 };

struct ThreadData {  // THREAD_TLS_INFORMATION
  ULONG flags;
  void *new_data, *old_data;
  ULONG64 thread_id;
};
struct Request {  // PROCESS_TLS_INFORMATION
  ULONG flags, operation, count, index_or_previous_count;
  struct ThreadData threads[kThreads];
};

PER_THREAD(int, of_the_exe, 0x77);

static LONG(NTAPI* set_information)(HANDLE, ULONG, void*, ULONG);
static int (*mapped_touch)(int);
static int (*copies[kCopies])(int);

// ---- the mapper ------------------------------------------------------------------------------------------

static char* mapped_base;
static IMAGE_NT_HEADERS64* mapped_headers;

static void* directory(ULONG number) {
  return mapped_base + mapped_headers->OptionalHeader.DataDirectory[number].VirtualAddress;
}

static char* path_beside_program(char* path, const char* name) {
  char* end = path + GetModuleFileNameA(NULL, path, MAX_PATH);
  while (end > path && end[-1] != '\\') --end;
  do *end++ = *name;
  while (*name++);
  return path;
}

static int map(const char* name) {
  static char file[1 << 17];
  char path[MAX_PATH];
  DWORD size = 0;
  HANDLE handle = CreateFileA(path_beside_program(path, name), GENERIC_READ, FILE_SHARE_READ, NULL,
                              OPEN_EXISTING, 0, NULL);
  if (!ReadFile(handle, file, sizeof file, &size, NULL) || size == sizeof file) return 0;
  CloseHandle(handle);
  mapped_headers = (void*)(file + ((IMAGE_DOS_HEADER*)file)->e_lfanew);
  mapped_base = VirtualAlloc(NULL, mapped_headers->OptionalHeader.SizeOfImage, MEM_RESERVE | MEM_COMMIT,
                             PAGE_EXECUTE_READWRITE);
  memcpy(mapped_base, file, mapped_headers->OptionalHeader.SizeOfHeaders);
  IMAGE_SECTION_HEADER* section = IMAGE_FIRST_SECTION(mapped_headers);
  for (int i = 0; i < mapped_headers->FileHeader.NumberOfSections; ++i, ++section) {
    DWORD bytes = section->SizeOfRawData < section->Misc.VirtualSize ? section->SizeOfRawData
                                                                     : section->Misc.VirtualSize;
    memcpy(mapped_base + section->VirtualAddress, file + section->PointerToRawData, bytes);
  }
  ULONG64 distance = (ULONG64)mapped_base - mapped_headers->OptionalHeader.ImageBase;
  char* block = directory(IMAGE_DIRECTORY_ENTRY_BASERELOC);
  char* end = block + mapped_headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_BASERELOC].Size;
  while (block < end) {
    IMAGE_BASE_RELOCATION* head = (void*)block;
    WORD* entry = (WORD*)(head + 1);
    for (; (char*)entry < block + head->SizeOfBlock; ++entry) {
      if (*entry >> 12 == IMAGE_REL_BASED_DIR64)
        *(ULONG64*)(mapped_base + head->VirtualAddress + (*entry & 0xFFF)) += distance;
    }
    block += head->SizeOfBlock;
  }
  IMAGE_EXPORT_DIRECTORY* exports = directory(IMAGE_DIRECTORY_ENTRY_EXPORT);
  mapped_touch = (void*)(mapped_base + *(DWORD*)(mapped_base + exports->AddressOfFunctions));  // its only one
  return 1;
}

// A thread's block, laid out as Windows does since 8.1: what the heap gave stands in the word before it.
static void* make_block(void) {
  IMAGE_TLS_DIRECTORY64* tls = directory(IMAGE_DIRECTORY_ENTRY_TLS);
  size_t size = tls->EndAddressOfRawData - tls->StartAddressOfRawData;
  void** raw = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, size + 16);
  raw[1] = raw;
  memcpy(raw + 2, (void*)tls->StartAddressOfRawData, size);
  return raw + 2;
}

// A vector of `length` entries, behind its header of two words.
static void** make_vector(ULONG64 length) {
  ULONG64* header = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, 16 + 8 * length);
  header[0] = length;
  return (void**)(header + 2);
}

// ---- threads ---------------------------------------------------------------------------------------------

static HANDLE ask[kWorkers], answered[kWorkers];
static int (*volatile question)(void);
static volatile int answers[kThreads];
static DWORD ids[kThreads];
static void** volatile vectors[kThreads];

static DWORD WINAPI worker(void* number) {
  int i = (int)(ULONG64)number;
  for (;;) {
    SetEvent(answered[i]);
    WaitForSingleObject(ask[i], INFINITE);
    if (!question) return 0;
    vectors[i + 1] = (void**)teb_read(kVector);
    answers[i + 1] = question();
  }
}

// How many threads answer the question with yes.
static unsigned all_answer(int (*asked)(void)) {
  unsigned yes = 0;
  question = asked;
  for (int i = 0; i < kWorkers; ++i) SetEvent(ask[i]);
  vectors[0] = (void**)teb_read(kVector);
  answers[0] = question();
  for (int i = 0; i < kWorkers; ++i) WaitForSingleObject(answered[i], INFINITE);
  for (int i = 0; i < kThreads; ++i) yes += answers[i] != 0;
  return yes;
}

static int sees_template(void) { return mapped_touch(1) == 0x3A; }
static int sees_its_own_change(void) { return mapped_touch(0) == 0x3B; }
static int exe_is_unharmed(void) { return MY(of_the_exe) == 0x77; }
static int copies_are_right(void) {
  for (int i = 0; i < kCopies; ++i)
    if (copies[i](1) != 0x41 || copies[i](-1) != 0x42) return 0;
  return 1;
}

// ---- the service -----------------------------------------------------------------------------------------

static struct Request request;

static LONG replace(ULONG operation, ULONG number) {
  request.flags = 0;
  request.operation = operation;
  request.count = kThreads;
  request.index_or_previous_count = number;
  for (int i = 0; i < kThreads; ++i) {
    request.threads[i].flags = 0;
    request.threads[i].old_data = NULL;
  }
  return set_information(GetCurrentProcess(), ProcessTlsInformation, &request, sizeof request);
}

static void show(const char* operation, LONG status) {
  unsigned taken = 0, in_order = 0;
  for (int i = 0; i < kThreads; ++i) {
    const struct ThreadData* thread = &request.threads[i];
    taken += thread->flags == kTaken && thread->old_data != NULL;
    in_order += thread->thread_id == ids[i];
  }
  line("%s: %x, %u threads took it and gave back what they had, %u in the order of their birth", operation,
       (unsigned)status, taken, in_order);
}

static void load_copies(void) {
  char path[MAX_PATH], name[] = "copy00.dll";
  unsigned loaded = 0;
  path_beside_program(path, "late.dll");
  for (int i = 0; i < kCopies; ++i) {
    name[4] = (char)('0' + i / 10);
    name[5] = (char)('0' + i % 10);
    CopyFileA(path, name, FALSE);
    copies[i] = (void*)GetProcAddress(LoadLibraryA(name), "touch");
    loaded += copies[i] != NULL;
  }
  line("%u DLLs loaded", loaded);
}

ENTRY() {
  HANDLE threads[kWorkers];
  ids[0] = GetCurrentThreadId();
  for (int i = 0; i < kWorkers; ++i) {
    ask[i] = CreateEventA(NULL, FALSE, FALSE, NULL);
    answered[i] = CreateEventA(NULL, FALSE, FALSE, NULL);
    threads[i] = CreateThread(NULL, 0, worker, (void*)(ULONG64)i, 0, &ids[i + 1]);
    WaitForSingleObject(answered[i], INFINITE);
  }
  set_information = (void*)GetProcAddress(GetModuleHandleA("ntdll.dll"), "NtSetInformationProcess");
  line("mapped: %b", map("mapped.dll"));
  ULONG (*get_index)(void) = (void*)GetProcAddress(LoadLibraryA("placeholder.dll"), "get_index");
  ULONG index = get_index();
  *(ULONG*)((IMAGE_TLS_DIRECTORY64*)directory(IMAGE_DIRECTORY_ENTRY_TLS))->AddressOfIndex = index;

  for (int i = 0; i < kThreads; ++i) request.threads[i].new_data = make_block();
  show("ReplaceIndex", replace(ReplaceIndex, index));
  line("%u see the template", all_answer(sees_template));
  line("%u then see their own change", all_answer(sees_its_own_change));

  all_answer(exe_is_unharmed);  // notes each thread's vector
  void** before[kThreads];
  for (int i = 0; i < kThreads; ++i) {
    before[i] = vectors[i];
    request.threads[i].new_data = make_vector(index + 1);
  }
  show("ReplaceVector", replace(ReplaceVector, index + 1));
  unsigned same = 0, freed = 0;
  for (int i = 0; i < kThreads; ++i) {
    void** old = request.threads[i].old_data;
    same += old == before[i];
    freed += old && HeapFree(GetProcessHeap(), 0, old - 2);
  }
  line("%u got their own vectors back, %u of which could be freed", same, freed);
  line("%u still see their own change", all_answer(sees_its_own_change));
  line("%u still see the EXE's variable", all_answer(exe_is_unharmed));
  unsigned installed = 0;
  for (int i = 0; i < kThreads; ++i) installed += vectors[i] == request.threads[i].new_data;
  line("%u run on the vector that was installed", installed);

  load_copies();
  line("%u see all of them", all_answer(copies_are_right));
  line("%u still see their own change", all_answer(sees_its_own_change));
  line("%u still see the EXE's variable", all_answer(exe_is_unharmed));
  question = NULL;
  for (int i = 0; i < kWorkers; ++i) SetEvent(ask[i]);
  for (int i = 0; i < kWorkers; ++i) join(threads[i]);
  line("the threads have ended");
  return 0;
}
