import { Skeleton } from '@mantine/core'
import { lazy, Suspense } from 'react'

const Screen = lazy(() => import('~/pages/job/terminal/screen'))

/** A shell in a running job; it fills the box in which it stands. F6 leaves it for the first button of its dialog or section. */
export function Terminal({ jid }: { jid: number }) {
  return (
    <Suspense fallback={<Skeleton height="100%" />}>
      <Screen jid={jid} />
    </Suspense>
  )
}
