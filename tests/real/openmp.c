// OpenMP by mingw's libgomp-1.dll: parallel loops, reductions, critical sections, tasks and threadprivate
// variables.
#include <omp.h>
#include <stdio.h>

static int g_own;
#pragma omp threadprivate(g_own)

static long fibonacci(int n) {
  if (n < 2) return n;
  long a, b;
#pragma omp task shared(a) if (n > 10)
  a = fibonacci(n - 1);
#pragma omp task shared(b) if (n > 10)
  b = fibonacci(n - 2);
#pragma omp taskwait
  return a + b;
}

int main(void) {
  omp_set_num_threads(8);
  long sum = 0, owned = 0, counted = 0, number = 0;
  for (int round = 0; round < 200; ++round) {
#pragma omp parallel for reduction(+ : sum) schedule(dynamic, 7)
    for (int i = 0; i < 1000; ++i) sum += i;
  }
#pragma omp parallel
  {
    g_own = omp_get_thread_num() + 1;
#pragma omp critical
    ++counted;
#pragma omp barrier
#pragma omp atomic
    owned += g_own;
  }
#pragma omp parallel
#pragma omp single
  number = fibonacci(20);
  printf("%ld %ld %ld %ld\n", sum, owned, counted, number);
  return !(sum == 200 * 499500L && owned == 36 && counted == 8 && number == 6765);
}
