package esclient

import "sync"

// atOnce bounds the calls that one reading has under way: as many as the fullest one makes beside each other.
const atOnce = 12

// parallel runs f(0) … f(n-1) beside each other and waits for all.
func parallel(n int, f func(int)) {
	var wg sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for i := range n {
		free <- struct{}{}
		wg.Go(func() {
			f(i)
			<-free
		})
	}
	wg.Wait()
}
