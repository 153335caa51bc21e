SELECT [a;b], [c'd"], [e]]; SELECT [f
;]; SELECT '[';
SELECT `x;`, `y``;`;
