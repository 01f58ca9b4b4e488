#pragma once

#include <cblas.h>
#include <stddef.h>

// LAPACK: eigenvalues (ascending) and eigenvectors (columns of a, column-major) of a symmetric matrix, divide and
// conquer. The two last arguments are the Fortran lengths of jobz and uplo.
void ssyevd_(const char *jobz, const char *uplo, const blasint *n, float *a, const blasint *lda, float *w,
             float *work, const blasint *lwork, blasint *iwork, const blasint *liwork, blasint *info,
             size_t jobz_length, size_t uplo_length);
