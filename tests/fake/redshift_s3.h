/* redshift_s3: the fake's COPY from S3 and UNLOAD to S3, as statements that PostgreSQL can run.
 *
 * `COPY t FROM 's3://...' ...` becomes COPY FROM PROGRAM, `UNLOAD ('...') TO 's3://...'` COPY TO
 * PROGRAM; the program is s3.py, which asks a moto server. The database user must have
 * pg_execute_server_program. What it is not: who may read the bucket is not asked (authorization
 * must stand in the statement, its keys are not used); of the options only CSV, DELIMITER,
 * IGNOREHEADER, MANIFEST, GZIP, NULL AS, HEADER and ALLOWOVERWRITE do something, those of
 * `harmless` nothing, and every other one is refused. Written from Amazon's documentation.
 */
#ifndef SLUICE_TESTS_REDSHIFT_S3_H
#define SLUICE_TESTS_REDSHIFT_S3_H

#include <stdbool.h>
#include <stddef.h>

/* The statement from p up to end: false: not one of these. Otherwise `sql` is what PostgreSQL is to
 * run, or, where *refusal is set, why Redshift (or this fake) would not. `program`: what starts
 * s3.py, with its endpoint; NULL: S3 cannot be had. */
bool s3_statement(char *sql, size_t cap, const char *p, const char *end, const char *program,
                  const char **refusal);

/* What Redshift says where PostgreSQL says (in `detail`) that s3.py ended badly. */
const char *s3_message(const char *detail);
const char *s3_detail(const char *detail);

#endif
