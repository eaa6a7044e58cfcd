/* saslprep: as PostgreSQL does it, by the verifiers that PostgreSQL 15.20 made of such passwords.
 */
#include "unit/unit.h"

#include "auth/saslprep.h"
#include "auth/scram.h"

static const struct {
    const char *password, *verifier;
} made_by_postgres[] = {
    /* micro sign, superscript two */
    { "\xc2\xb5\xc2\xb2",
      "SCRAM-SHA-256$4096:owuihRdYZe3m54Cbvi0NoA==$"
      "Z0Vvp3OOnAwVOLHR0bwiqeYaCV/23zBs9hdLooKjCGc=:i6lodvZItAdcjxyYjg0AlfcuncAuHiPrfbl1jnkDkKY=" },
    /* soft hyphen */
    { "\x49\xc2\xad\x58",
      "SCRAM-SHA-256$4096:V6n70p4rzXg1fGRuNGUy9A==$"
      "q58w9nL/7OD4xxi4W6S+ozZR9yoVaml/7hCNs3KP/CY=:IYL8EDvzjpUZN49oCbbjO1FJPn7kDL+qZmdFbHqhh00=" },
    /* e and acute, apart */
    { "\x65\xcc\x81\x74\x65",
      "SCRAM-SHA-256$4096:aLX/6mq+R2tWeeLXKePUzg==$"
      "yYE9dRJfvGyHC8UPWTO9QNbvE3m/2oF3uWCRawIfBP0=:XcebzI/Jxtszg9L4d1jcqqildIGjLcGilwUhHi/VZNc=" },
    /* ordinal */
    { "\xc2\xaa",
      "SCRAM-SHA-256$4096:ZC/Ud3KIypYAMH0wRJPcQQ==$"
      "xUgYrsdKLqcN4hhNNrrfVkhOu5X514i0wNnZ5jobQGs=:QvmbPMScDY33LaRgIwkvltB5SLPsHTAHlZHgsIqVg3s=" },
    /* roman nine */
    { "\xe2\x85\xa8",
      "SCRAM-SHA-256$4096:N/W23dvXz0I50aJM65ViEA==$"
      "XV1/FVfLhCQRnR0Rhs3rLIs9cdckl0g/+YG/xd+eT3s=:BH7E+yMU3q4h2nQliStkKXgxh9/OIlG26l+fzNqXRh4=" },
    /* prohibited: bell */
    { "\x07\xc3\xa9",
      "SCRAM-SHA-256$4096:H30yABYq2an3LNQycMjwvQ==$"
      "WUw30Dozz/XSPwSOZqn1vIJ6ZBpkqzTwdCayJpaZPRI=:KjctNSvUi5xTubhbnFC/8vnHY9G56fOhjXmEw/8nPrA=" },
    /* prohibited: both directions */
    { "\xd8\xa7\x31\xc3\xa9",
      "SCRAM-SHA-256$4096:AMpRqA1On4nZ+78s4qkrRQ==$"
      "EsFIlmGB+gigLd21FiE2vuCmzNITlmszSaQwrgbHNk8=:JnB7LJv9wJmZ31A0cpFudyjjkPOU2DPL+Ktn42kwckQ=" },
    /* prohibited: ends left to right */
    { "\xd8\xa7\x31",
      "SCRAM-SHA-256$4096:79TlgRSY/5MvWy9vGDnNWw==$"
      "HwmTWjRP+ZLsvZCJdtdxdeCisglvOKJPRYIcSWOp1M4=:HJffS2pXn94tBo7g+DuEkbmFmgQO+URk6tm9iL4HPTQ=" },
    /* prohibited: ends neutral */
    { "\xd8\xa7\x31\xd8\xa7\xc2\xb2",
      "SCRAM-SHA-256$4096:o++VEIyRx/gp7ThFUwijkA==$"
      "rpPNxYYSgQh3nYAsoK4V7swrqir+dIptwSBWjhaMZ/c=:zy/jA8MV5GwtfepXVGEW8DwMsoR+ZUUS+CqMtNyPE10=" },
    /* unassigned in 3.2: a face */
    { "\xf0\x9f\x98\x80\xc2\xb2",
      "SCRAM-SHA-256$4096:hMqiH2RkuJP9uO69z6YEHw==$"
      "FbJv9NEbHQ/k/ElvlLPd/aXqPYNhgZtZj/rFuiBIAJk=:Lz+KclSOwJC9SEfWoh/bC94keCNc1/emXKjRxwg+Ehw=" },
    /* full width */
    { "\xef\xbc\xa1\xef\xbc\xa2\xef\xbd\x83",
      "SCRAM-SHA-256$4096:ovN2afh7WHyrTHOsSjYyfg==$"
      "kpwTUGpkBPrVsOmZfSNNEVXKh31R5A8vdP4q1I4AYTk=:gHrkUWl/3TmeH4I90+x5VpFQ/jzDWgcdN0ZXSBwbSFs=" },
    /* spaces */
    { "\x61\xc2\xa0\x62\xe3\x80\x80\x63",
      "SCRAM-SHA-256$4096:IJxlBxj4IX2HH/FH+HHFrw==$"
      "x+5DWI7wNSjb62ZUxascyn3CgIle3YVaJS+iwa5fj/w=:LvHg6SntNrmAVZYCo1B45x/ABfX2Me3HqGU2t4tblGQ=" },
    /* Hangul */
    { "\xed\x95\x9c\xea\xb8\x80",
      "SCRAM-SHA-256$4096:XjHgT435ahuVvENkGyu3Ng==$"
      "lcyh7sl2n/GAlztdIeFQHAB4kDzMjN5OHusUiZJDrmk=:rwmrH7XIRau/xp+ZT6CRTjKfZva7+0rZ7Dual8xOvSA=" },
    /* Hangul, apart */
    { "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab",
      "SCRAM-SHA-256$4096:jRq0OFBkownOA6+23yyung==$"
      "njT7Um2BS02/L6SNLlaGjgsMdZ/uD98kYhxiK1u5lOg=:ISmUpJjnpOeQYcoQs6WLfp2U1RrdyQPD0P0jHzOWcHU=" },
    /* ligature */
    { "\xef\xac\x81\x6e",
      "SCRAM-SHA-256$4096:StWbB/X0RUnhxpsUfqmPwQ==$"
      "Jb5xngxCknxbl7kH9/YrsAW1dDflF4gQxPDiIssnRdQ=:eIkJF1IXSGJzxgAvSoV5dLVBGg7oAoppfrnBYSnC5mo=" },
    /* marks change places */
    { "\xe1\xba\x9b\xcc\xa3",
      "SCRAM-SHA-256$4096:3ewTSsK0NIKQ8VBdn3ntbQ==$"
      "cHhhoR8VlqxDCRUPxhjj/Iij++5iw0DARxqfIOnOXfk=:G06UszdS1m+1ZvkXucoADx2hBn2CUrmd3McWUErbHG4=" },
    /* angstrom */
    { "\xe2\x84\xab",
      "SCRAM-SHA-256$4096:82XTAtQ4JdpcNGWJFkTVZg==$"
      "t0Ye0uXWO6QGMyXWGip2xeFGggwTmtQw+gB5LDeEWiI=:mBjnHxQncEPFfrBxyet8kfLvZD5QM+jEDhiUFja6ccU=" },
    /* marks alone */
    { "\xcd\x84\xcd\x85",
      "SCRAM-SHA-256$4096:Zm9uvTYuoSANsH4Op4mfrA==$"
      "bKYbg7WeMycAz7dLxJocWQDtSxXYiy2P7a7mQI1KMv0=:lGafBjtj1JIZ3izEoW8AYx/5pgLPP/e+w+beA/fmqig=" },
    /* prohibited */
    { "\xdb\x9d\xc2\xb2",
      "SCRAM-SHA-256$4096:hByOm+ZnBseZJo2wqBBqOA==$"
      "1LOL/U9jWtGgHtndY8kp5dd4I0FId597mKu4kFHIWzg=:4BxiKxX51o+uiCarPyDmTVgz8fAOITVfo+rxY9SsYgI=" },
    /* never composed */
    { "\xe0\xa5\x98",
      "SCRAM-SHA-256$4096:o7a6Y0NT3r497K1GrmJXRA==$"
      "PuvIWLq8mU0Bj996r+NCei4U74vflGWgYJkxGJHZH8A=:ob2/oM1mkE8mN943vup1CwDDGjp3nrlQ57zk8WC1QtQ=" },
    /* marks change places */
    { "\x71\xcc\x87\xcc\xa3",
      "SCRAM-SHA-256$4096:En3ZZE9T86ZsqAcsqlVRcw==$"
      "Z2v02Vmlo1ymb3gC5Q+0lxzx1zVsfCAlm6HoIRlNmKU=:4wvotkl+3hm5A5lNia3B1H501mg1BC7gi1IVWIAk0mg=" },
    /* eighteen letters in one */
    { "\xef\xb7\xba",
      "SCRAM-SHA-256$4096:ZDKdDvFLEhOzpZfIa+Clqw==$"
      "hLtsV8dRsGvjGHVG83+0imfH3M9Kl+fqeekXRI17df4=:8Aaj5vgnpQMUdeFh5BvMRtclgg00pyS7GdQ9TS+SySo=" },
    /* half */
    { "\xc2\xbd",
      "SCRAM-SHA-256$4096:q08NT3XNuMcsyV6kOcgF3g==$"
      "3IMHTdFUyaWVzd1KyUFHig7hXYuoMAvFHDVY9FHDunk=:1yQQ06eOuBcX9JK4mRLzf5jFHtDIL1Nl7R+Fn27/Z0U=" },
    /* ohm */
    { "\xe2\x84\xa6",
      "SCRAM-SHA-256$4096:Ro1jbsMHNFvDY6kEmLrbRA==$"
      "0+7nYiR1cPRKw3MEMMeRV1BruHJF/RXZKxsZ5EcbV8Y=:iRC0rQVi95qCQctbADbE1G+/JOk3TR1Xt3MkdLNz4fo=" },
    /* compatibility ideograph */
    { "\xf0\xaf\xa0\x80",
      "SCRAM-SHA-256$4096:DCpbHk5BDpgWXj045Off1g==$"
      "0Ouc6Y5BW/QCWiDHS5ICwMXTQGiO/l+PaIcHLpVJ8tE=:/IDSGFlNaW24N2cwjeTa4kYhyHdV308rYLuHj7wSdQY=" },
    /* unassigned in 3.2 */
    { "\xc8\xa1\xc2\xb2",
      "SCRAM-SHA-256$4096:ntjSljylpjV51Y1YZRlebw==$"
      "R+pYwu9dQcQyl9aE4fyXHoHCPVa0oEsrGTruK8rRZcU=:ZEPpWfDski7YA8PU00vdGJzvPgde94kzA65jSSJBpHY=" },
    /* squared */
    { "\xe3\x8e\x92",
      "SCRAM-SHA-256$4096:e0Yjg2AE/inYCJcs7nRBVg==$"
      "YaElC+h10ScNoLbkDeKYqovPxZX0jBn6P1b3EoFg+LI=:BtOsd1bVt10FaIsEW9oY6aqW6IvF8qGarfpMCUwmPgk=" },
    /* not UTF-8 */
    { "\xff\xc2\xb2",
      "SCRAM-SHA-256$4096:X1f/Xi5Q8qv1IZvQi/R7KA==$"
      "i1v1VqD8FQrL+6XiOlBKBW3IBfurCjBpOybQzKuFjT4=:w2Y8W2LKbRcCOsZcO9BRPRz8QDAIqVGjM+zhwdceWFo=" },
    /* not UTF-8 */
    { "\xc3",
      "SCRAM-SHA-256$4096:9l7gHg6PBNW3nssV+SegqA==$"
      "nBGNwp1Pdbh8XmlZK9+xkceVN/JB6cPMR3zIJ8R+zTY=:afsF6l1qBUJsUzARcvpKOBbs+lmuH7FbzjBnkMbKZ4Y=" },
    /* a surrogate */
    { "\xed\xa0\x80\xc2\xb2",
      "SCRAM-SHA-256$4096:gXohLmA3D14oK68xEmK/Pg==$"
      "TPITTsoGvlIEDtwupCrSKIEQN7F9MBWkhMScONCzm+Q=:xqqZqJ4leiz+elzuNpJmoz0x9Wc8TMIULvEo1Ns0rJ4=" },
    /* beyond Unicode */
    { "\xf4\x90\x80\x80",
      "SCRAM-SHA-256$4096:U4MkjmB8O21I88ZgPz8gtg==$"
      "f2WquTPA64qBBAToKHcL2O4IBYoSBVNSeK61mJaQHyQ=:CZfF6Rowm6AQXwva9Y1VEQ3kaDYdlPDnFPJHkER4Lus=" },
    /* overlong */
    { "\xc0\x80\x78",
      "SCRAM-SHA-256$4096:eP7Nig7fZvqV4uZ4S2zN+Q==$"
      "LE1HBFtAbtzOHASXyk6F8kKm6g/kOrI2+Ft75ti46DY=:n/wxtKJKXlwQrUi4EdW0mER/F1oEDWVQWGlnH7P82uA=" },
};

static void verifiers_of_postgres_fit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof made_by_postgres / sizeof *made_by_postgres; i++) {
        struct scram_verifier v;
        struct err err;
        assert_true(scram_verifier_parse(&v, slice_str(made_by_postgres[i].verifier), &err));
        if (!scram_verifier_check(&v, slice_str(made_by_postgres[i].password)))
            fail_msg("row %zu: \"%s\"", i, made_by_postgres[i].password);
        assert_false(scram_verifier_check(&v, slice_str("x")));
    }
}

static void becomes(struct slice password, struct slice expected)
{
    struct buf out = { 0 };
    assert_true(saslprep(password, &out));
    if (!slice_eq(buf_slice(&out), expected))
        fail_msg("\"%.*s\" became \"%.*s\"", SLICE_ARG(password), (int)out.len, out.at);
    buf_wipe(&out);
}

/* RFC 4013, section 3, with what PostgreSQL does instead of refusing. */
static void examples_of_rfc_4013(void **state)
{
    (void)state;
    becomes(slice_str("I\u00adX"), slice_str("IX"));
    becomes(slice_str("user"), slice_str("user"));
    becomes(slice_str("USER"), slice_str("USER"));
    becomes(slice_str("\u00aa"), slice_str("a"));
    becomes(slice_str("\u2168"), slice_str("IX"));
    becomes(slice_str("\x07"), slice_str("\x07"));
    becomes(slice_str("\u06271"), slice_str("\u06271"));
    becomes(slice_str(""), slice_str(""));
    becomes(slice_str("\u00ad"), slice_str("\u00ad")); /* nothing would be left */
    becomes(slice_of("\0\xc2\xb2", 3), slice_of("\0\xc2\xb2", 3));
}

/* Each code point of the planes that have characters, alone: what comes out is UTF-8 and stays as
 * it is from then on. */
static void every_code_point_settles(void **state)
{
    (void)state;
    for (uint32_t code = 0x80; code < 0x30000; code++) {
        if (code >= 0xd800 && code < 0xe000) continue;
        char text[4];
        size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        for (size_t i = 0; i < n; i++) text[i] = (char)(0x80 | (code >> (6 * (n - 1 - i)) & 0x3f));
        text[0] = (char)(0xffu << (8 - n) | code >> (6 * (n - 1)));
        struct buf once = { 0 }, twice = { 0 };
        assert_true(saslprep(slice_of(text, n), &once));
        assert_true(saslprep(buf_slice(&once), &twice));
        assert_true(slice_eq(buf_slice(&once), buf_slice(&twice)));
        buf_wipe(&once);
        buf_wipe(&twice);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifiers_of_postgres_fit),
        cmocka_unit_test(examples_of_rfc_4013),
        cmocka_unit_test(every_code_point_settles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
