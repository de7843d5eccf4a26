package esclient

import "sync"

// parallel runs f(0) … f(n-1) at once and waits for all.
func parallel(n int, f func(int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
